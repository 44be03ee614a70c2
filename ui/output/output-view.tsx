// What a task printed: live and final, of any size.

import { Component } from "preact";
import type { CallStarted, RunSource } from "../../src/model/events.js";
import type { AttemptState } from "../../src/model/run.js";
import type { OutputFold } from "../../src/wire/boss.js";
import { hrefOf, type LineRange } from "../route.js";
import { AttemptsDiff } from "./attempts-diff.js";
import type { Toggled } from "./fold-map.js";
import { Folding, withLineShown, withToggled } from "./folding.js";
import { lineAt } from "./line-at.js";
import { LineSearch } from "./line-search.js";
import { OutputKeys } from "./output-keys.js";
import { OutputSource, outputPath } from "./output-source.js";
import { OutputToolbar } from "./output-toolbar.js";
import type { Query } from "./query.js";
import { loadSettings, type Settings, saveSettings } from "./settings.js";
import type { Times } from "./times.js";
import { TimesFeed } from "./times-feed.js";
import { Viewport } from "./viewport.js";

export interface OutputViewProps {
  readonly run: number;
  readonly stage: string;
  readonly task: string;
  /** From 1. */
  readonly attempt: number;
  /** How many there are. */
  readonly attempts: number;
  readonly isLive: boolean;
  /** The attempt ended red: the end of its output is where to look first. */
  readonly isRed?: boolean;
  readonly calls: readonly CallStarted[];
  /** The code that the run tests. */
  readonly sources: readonly RunSource[];
  /** Beside the calls, by their numbers. */
  readonly services: NonNullable<AttemptState["services"]>;
  /** Chosen by the address. */
  readonly lines: LineRange | null;
  readonly isConnected: boolean;
  readonly generation: number;
  readonly chooseLines: (lines: LineRange | null) => void;
  readonly chooseAttempt: (attempt: number) => void;
}

interface State {
  readonly settings: Settings;
  readonly toggled: Toggled;
  readonly query: Query | null;
  /** The line that n, N or e led to. */
  readonly current: number | null;
  readonly isFollowing: boolean;
  readonly times: Times | null;
  /** Said to who reads by ear, and shown for a moment. */
  readonly said: string;
  readonly version: number;
  /** The output is compared with that of another attempt. */
  readonly isCompared: boolean;
}

export class OutputView extends Component<OutputViewProps, State> {
  override state: State = {
    settings: loadSettings(),
    toggled: new Set(),
    query: null,
    current: null,
    isFollowing: this.props.lines === null && (this.props.isLive || this.props.isRed === true),
    times: null,
    said: "",
    version: 0,
    isCompared: false,
  };
  #source = this.#open();
  #times = this.#openTimes();
  #search: LineSearch | null = null;
  #errors: LineSearch | null = null;
  readonly #folding = new Folding();
  #viewport: Viewport | null = null;
  #field: HTMLInputElement | null = null;
  #isPlaced = false;
  #frame = 0;

  override componentDidMount() {
    if (this.state.settings.hasTimes) void this.#times.load();
  }

  override componentWillUnmount() {
    cancelAnimationFrame(this.#frame);
    this.#times.close();
    this.#source.close();
    this.#search?.cancel();
    this.#errors?.cancel();
  }

  override componentDidUpdate(before: OutputViewProps) {
    const { run, stage, task, attempt, lines } = this.props;
    if (
      run !== before.run ||
      stage !== before.stage ||
      task !== before.task ||
      attempt !== before.attempt
    ) {
      this.#reopen();
      return;
    }
    // The boss is back: no need to wait for the next try.
    if (this.props.generation !== before.generation) this.#source.retry();
    if (lines !== before.lines && lines !== null && lines.from !== this.#chosenHere) {
      this.#isPlaced = false;
    }
    this.#placeAtFirst();
  }

  #open(): OutputSource {
    const { attempt } = this.props;
    const place = { path: outputPath(this.props), attempt };
    return new OutputSource(place, () => this.#redraw());
  }

  #openTimes(): TimesFeed {
    return new TimesFeed(
      this.#source,
      (times) => new Promise((done) => this.setState({ times }, done)),
    );
  }

  #reopen() {
    this.#times.close();
    this.#source.close();
    this.#search?.cancel();
    this.#errors?.cancel();
    this.#search = null;
    this.#errors = null;
    this.#isPlaced = false;
    this.#source = this.#open();
    this.#times = this.#openTimes();
    const { lines, isLive, isRed } = this.props;
    this.setState({
      toggled: new Set(),
      current: null,
      times: null,
      isFollowing: lines === null && (isLive || isRed === true),
    });
    if (this.state.query) this.#startSearch(this.state.query);
    if (this.state.settings.hasTimes) void this.#times.load();
  }

  /** Once a frame, whatever comes. */
  #redraw() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#search?.goOn();
      if (this.state.settings.hasTimes) this.#times.loadSoon();
      this.setState(({ version }) => ({ version: version + 1 }));
    });
  }

  /** To the line of the address, as soon as it is known where that is. */
  #placeAtFirst() {
    const { lines } = this.props;
    const { extent } = this.#source;
    if (this.#isPlaced || lines === null || !extent) return;
    if (extent.lines < lines.from && !extent.ended) return;
    this.#isPlaced = true;
    this.#show(Math.min(lines.from, Math.max(1, extent.lines)));
  }

  #chosenHere = 0;
  #chooseLine = (line: number, isRange: boolean) => {
    const { lines, chooseLines } = this.props;
    const isAgain = !isRange && lines?.from === line && lines.to === line;
    const from = isRange && lines ? Math.min(lines.from, line) : line;
    const to = isRange && lines ? Math.max(lines.from, line) : line;
    this.#chosenHere = from;
    chooseLines(isAgain ? null : { from, to });
  };

  /** Unfolds what hides it. */
  #show(line: number) {
    const toggled = withLineShown(this.state.toggled, this.#source.folds.values(), line);
    this.setState({ toggled, isFollowing: false }, () => this.#viewport?.goToLine(line));
  }

  #toggleFold = (fold: OutputFold) => {
    this.setState({ toggled: withToggled(this.state.toggled, fold), isFollowing: false });
  };

  // Search

  #setQuery = (query: Query | null) => {
    this.#search?.cancel();
    this.#search = null;
    this.setState({ query, current: null, said: "" });
    if (query) this.#startSearch(query);
  };

  #startSearch(query: Query) {
    const from = this.#viewport?.topLine() ?? 1;
    let isFirst = true;
    const search = new LineSearch(this.#source, query, () => {
      if (this.#search !== search) return;
      // As soon as there is a match below what is seen, it is shown; else the first one, once all is searched.
      if (isFirst && search.found.length > 0) {
        const index = search.found.from(from);
        if (index < search.found.length || search.isDone) {
          isFirst = false;
          this.#goToMatch(search.found.at(index < search.found.length ? index : 0));
        }
      }
      this.#redraw();
    });
    this.#search = search;
  }

  #goToMatch(line: number): number {
    this.setState({ current: line });
    this.#show(line);
    return line;
  }

  /** Returns the line that it leads to: the state has it only once it is drawn. */
  #step(
    found: { length: number; at(i: number): number; from(line: number): number },
    by: 1 | -1,
  ): number {
    const { current } = this.state;
    const from = current ?? this.#viewport?.topLine() ?? 1;
    const next = by > 0 ? found.from(current === null ? from : from + 1) : found.from(from) - 1;
    // Round and round.
    return this.#goToMatch(found.at((next + found.length) % found.length));
  }

  #nextMatch = (by: 1 | -1) => {
    if (this.#search && this.#search.found.length > 0) this.#step(this.#search.found, by);
  };

  // The first error

  #nextError = async (by: 1 | -1) => {
    this.#errors?.goOn();
    this.#errors ??= new LineSearch(this.#source, "errors", () => {});
    const errors = this.#errors;
    this.#say("Looking for the first error...");
    await errors.done;
    if (errors !== this.#errors) return;
    const found = errors.strongest();
    if (errors.problem !== null && found.length === 0) {
      // Not looked through to the end, so nothing can be said of it; the next press looks again.
      this.#errors = null;
      this.#say(`Errors cannot be looked for: ${errors.problem}`);
      return;
    }
    if (found.length === 0) {
      await this.#goToEndOfCalls();
      return;
    }
    const isFirst = this.state.current === null || !found.has(this.state.current);
    const line = isFirst && by > 0 ? this.#goToMatch(found.at(0)) : this.#step(found, by);
    const place = found.from(line) + 1;
    this.#say(found.length === 1 ? "The only error" : `Error ${place} of ${found.length}`);
  };

  /** Nothing looks like an error: then the last words of the command are the best guess. */
  async #goToEndOfCalls() {
    await this.#times.load();
    const { extent } = this.#source;
    const offset = this.state.times?.endOfCalls(extent?.bytes ?? 0) ?? null;
    const line = offset === null ? null : await lineAt(this.#source, offset - 1);
    if (line !== null) this.#goToMatch(line);
    else this.#viewport?.goToEnd();
    this.#say("No line looks like an error: this is the end of the last command");
  }

  #change = (change: Partial<Settings>) => {
    const settings = { ...this.state.settings, ...change };
    saveSettings(settings);
    this.setState({ settings });
    if (change.hasTimes) void this.#times.load();
  };

  #follow = (isFollowing: boolean) => {
    if (isFollowing !== this.state.isFollowing) this.setState({ isFollowing });
    if (isFollowing) this.#viewport?.goToEnd();
  };

  #compare = (isCompared: boolean) => this.setState({ isCompared });

  #say(said: string) {
    this.setState({ said });
  }

  #foldAt = (line: number) => this.#folding.at(line);
  #isChosen = (line: number) => {
    const { lines } = this.props;
    return lines !== null && lines.from <= line && line <= lines.to;
  };
  #hold = (viewport: Viewport | null) => {
    this.#viewport = viewport;
  };
  #isMatch = (line: number) => this.#search?.found.has(line) ?? false;
  /** All of it is named: the address may leave to the page which task it shows, and which attempt. */
  #hrefOf = (line: number) => {
    const { run, stage, task, attempt } = this.props;
    const lines = { from: line, to: line };
    return hrefOf({ page: "run", run, task: { stage, task }, attempt, lines });
  };
  #timeOf = (offset: number) => this.state.times?.since(offset) ?? null;

  override render() {
    const { props, state } = this;
    const source = this.#source;
    const map = this.#folding.mapOf(source, state.toggled);
    const { extent } = source;
    const isEmpty = extent !== null && extent.bytes === 0;
    const isCompared = state.isCompared && props.attempts > 1;
    return (
      <div class="out">
        {!isCompared && (
          <OutputKeys
            hasQuery={state.query !== null}
            search={() => this.#field?.select()}
            nextMatch={this.#nextMatch}
            nextError={(by) => void this.#nextError(by)}
            toStart={() => this.#viewport?.goToStart()}
            toEnd={() => this.#follow(true)}
            toggleTimes={() => this.#change({ hasTimes: !state.settings.hasTimes })}
            toggleWrap={() => this.#change({ isWrapped: !state.settings.isWrapped })}
            toggleFollow={() => this.#follow(!state.isFollowing)}
          />
        )}
        <OutputToolbar
          {...props}
          source={source}
          search={this.#search}
          query={state.query}
          current={state.current}
          setQuery={this.#setQuery}
          nextMatch={this.#nextMatch}
          nextError={() => void this.#nextError(1)}
          settings={state.settings}
          change={this.#change}
          isFollowing={state.isFollowing}
          follow={this.#follow}
          isCompared={state.isCompared}
          compare={this.#compare}
          fieldRef={(field) => {
            this.#field = field;
          }}
          leaveField={() => this.#viewport?.focus()}
        />
        <p class="out-said" role="status">
          {state.said}
        </p>
        {source.problem !== null && (
          <p class="out-problem" role="alert">
            {source.isGone
              ? `The output is gone: ${source.problem}.`
              : `The output cannot be read on: ${source.problem}. Trying again.`}
          </p>
        )}
        {extent === null && source.problem === null && (
          <p class="quiet out-note">Loading the output...</p>
        )}
        {isEmpty && (
          <p class="quiet out-note">
            {extent.ended ? "It printed nothing." : "Nothing printed yet."}
          </p>
        )}
        {isCompared ? (
          <AttemptsDiff key={props.attempt} {...props} />
        ) : (
          <Viewport
            hold={this.#hold}
            key={`${props.run} ${props.stage} ${props.task} ${props.attempt}`}
            source={source}
            map={map}
            isWrapped={state.settings.isWrapped}
            foldAt={this.#foldAt}
            toggleFold={this.#toggleFold}
            timeOf={state.settings.hasTimes ? this.#timeOf : null}
            isChosen={this.#isChosen}
            hrefOf={this.#hrefOf}
            chooseLine={this.#chooseLine}
            query={state.query}
            isMatch={this.#isMatch}
            current={state.current}
            isFollowing={state.isFollowing}
            setFollowing={this.#follow}
            version={state.version}
          />
        )}
      </div>
    );
  }
}
