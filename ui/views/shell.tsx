// The frame of every page: navigation, what is wrong, and the page itself.

import { useState } from "preact/hooks";
import { keys } from "../keys.js";
import { lazy } from "../lazy.js";
import { hrefOf, type Route } from "../route.js";
import { listedRuns, pipelineOf, type State, shownEntry } from "../state.js";
import { storedTheme, storeTheme, type Theme } from "../theme.js";
import { useKeys } from "../use-keys.js";
import { Banners } from "./banners.js";
import { HomePage } from "./home.js";
import { Icon } from "./icons.js";
import type { PageProps } from "./page.js";
import { RunPage } from "./run.js";
import { StatusIcon } from "./status.js";

const TimelinePage = lazy(async () => (await import("./timeline.js")).TimelinePage);
const HistoryPage = lazy(async () => (await import("./history.js")).HistoryPage);
const ComparePage = lazy(async () => (await import("./compare.js")).ComparePage);
const WorkersPage = lazy(async () => (await import("./workers.js")).WorkersPage);
const Palette = lazy(async () => (await import("./palette.js")).Palette);
const KeysHelp = lazy(async () => (await import("./keys-help.js")).KeysHelp);

export function Shell({ state, actions }: PageProps) {
  const { send, go } = actions;
  const pipeline = pipelineOf(state);
  const shown = shownEntry(state)?.summary;
  const group = "Everywhere";
  useKeys([
    {
      keys: "Mod+k",
      words: "Find a pipeline, run, task or action",
      group,
      inFields: true,
      run: () => send({ type: "overlay", overlay: { kind: "palette", mode: "all" } }),
    },
    {
      keys: "n",
      words: "New run",
      group,
      run: () => send({ type: "overlay", overlay: { kind: "palette", mode: "run" } }),
    },
    { keys: "g h", words: "Go home", group, run: () => go("/") },
    { keys: "g w", words: "Go to the workers", group, run: () => go("/workers") },
    {
      keys: "g y",
      words: "Go to the history of the pipeline",
      group,
      run: () => pipeline !== null && go({ page: "history", pipeline }),
    },
    {
      keys: "g r",
      words: "Go to the newest run",
      group,
      run: () => {
        const [newest] = listedRuns(state);
        if (newest) go(`/runs/${newest.id}`);
      },
    },
    {
      keys: "?",
      words: "Show the keys",
      group,
      run: () => send({ type: "overlay", overlay: { kind: "keys" } }),
    },
  ]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="/">
          bettertest
        </a>
        <nav class="places" aria-label="Main">
          <Place to={{ page: "home" }} now={state.route} words="Pipelines" />
          {pipeline !== null && (
            <Place to={{ page: "history", pipeline }} now={state.route} words="History" />
          )}
          <Place to={{ page: "workers" }} now={state.route} words="Workers" />
        </nav>
        <Busy state={state} />
        <div class="bar-end">
          <button
            type="button"
            class="finder"
            aria-keyshortcuts="Control+K"
            onClick={() => send({ type: "overlay", overlay: { kind: "palette", mode: "all" } })}
          >
            <Icon name="search" />
            <span class="finder-words">Find or do...</span>
            <kbd>Ctrl K</kbd>
          </button>
          <ThemeButton />
          <button
            type="button"
            class="plain"
            aria-label="Keys"
            title="Keys (?)"
            onClick={() => send({ type: "overlay", overlay: { kind: "keys" } })}
          >
            <Icon name="keyboard" />
          </button>
        </div>
      </header>
      <Banners state={state} actions={actions} />
      <main id="main" class={`page is-${state.route.page}`} tabIndex={-1}>
        <Page state={state} actions={actions} />
      </main>
      {/* For those who hear the page: how the shown run stands, whenever that changes. */}
      <p class="unseen" role="status">
        {shown && `Run ${shown.id} ${shown.status}`}
      </p>
      {state.overlay?.kind === "palette" && (
        <Palette state={state} actions={actions} mode={state.overlay.mode} />
      )}
      {state.overlay?.kind === "keys" && (
        <KeysHelp
          bindings={keys.list()}
          close={() => send({ type: "overlay-closed", kind: "keys" })}
        />
      )}
    </>
  );
}

function Page(props: PageProps) {
  const { route } = props.state;
  switch (route.page) {
    case "home":
      return <HomePage {...props} />;
    case "run":
      return <RunPage {...props} route={route} />;
    case "timeline":
      return <TimelinePage {...props} run={route.run} />;
    case "history":
      return <HistoryPage {...props} pipeline={route.pipeline} />;
    case "compare":
      return <ComparePage {...props} left={route.left} right={route.right} />;
    case "workers":
      return <WorkersPage {...props} />;
    case "missing":
      return (
        <div class="empty">
          <h1>There is no such page</h1>
          <p>
            <bdi>{route.path}</bdi> is no address of bettertest. <a href="/">To the pipelines</a>
          </p>
        </div>
      );
    default:
      return route satisfies never;
  }
}

function Place({ to, now, words }: { to: Route; now: Route; words: string }) {
  const isHere = to.page === now.page;
  return (
    <a href={hrefOf(to)} aria-current={isHere ? "page" : undefined}>
      {words}
    </a>
  );
}

/** What runs now, from everywhere one key away. */
function Busy({ state }: { state: State }) {
  const running = listedRuns(state).filter(({ finishedAt }) => finishedAt === null);
  const [first] = running;
  if (!first) return null;
  return (
    <a class="busy" href={`/runs/${first.id}`}>
      <StatusIcon status="running" />
      <span>{running.length === 1 ? `Run ${first.id}` : `${running.length} runs`}</span>
    </a>
  );
}

const themes: readonly Theme[] = ["system", "light", "dark"];

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system";
  return (
    <button
      type="button"
      class="plain"
      aria-label={`Colors: ${theme}. Change to ${next}`}
      title={`Colors: ${theme}`}
      onClick={() => {
        storeTheme(next);
        setTheme(next);
      }}
    >
      <Icon name={theme} />
    </button>
  );
}
