// One line of output on the screen.

import { Component, type JSX } from "preact";
import { sectionMark } from "../../src/model/output-sections.js";
import { type Look, plainLook } from "../../src/model/sgr.js";
import type { CutLine, OutputFold } from "../../src/wire/boss.js";
import { formatBytes } from "../format.js";
import { fetchAgain } from "../request.js";
import { type LineParts, markHits, type Part, partsOf } from "./line-parts.js";
import type { OutputSource, SourceLine } from "./output-source.js";
import { hitsIn, type Query } from "./query.js";

export interface RowProps {
  readonly number: number;
  /** Null while it is on its way. */
  readonly line: SourceLine | null;
  /** The one that begins here. */
  readonly fold: OutputFold | null;
  readonly isFolded: boolean;
  readonly toggleFold: (fold: OutputFold) => void;
  /** Null where times are not shown. */
  readonly time: string | null;
  readonly isChosen: boolean;
  readonly isCurrent: boolean;
  /** Given where the line matches. */
  readonly query: Query | null;
  readonly href: string;
  readonly source: OutputSource;
}

interface State {
  /** More of a long line, as far as the reader asked for it. */
  readonly more: string;
  readonly moreBytes: number;
  readonly problem: boolean;
}

const moreAtOnceBytes = 256 * 1024;
const mostMoreBytes = 1024 * 1024;

export class Row extends Component<RowProps, State> {
  override state: State = { more: "", moreBytes: 0, problem: false };

  override shouldComponentUpdate(next: RowProps, state: State) {
    const { props } = this;
    if (state !== this.state) return true;
    for (const key of Object.keys(next) as (keyof RowProps)[]) {
      if (key === "line" || next[key] === props[key]) continue;
      return true;
    }
    return next.line?.content !== props.line?.content || next.line?.look !== props.line?.look;
  }

  override render() {
    const { number, line, fold, isFolded, isChosen, isCurrent, query, time, href } = this.props;
    const marks = [isChosen && "is-chosen", query && "is-match", isCurrent && "is-current"];
    const classes = ["out-row", ...marks].filter(Boolean).join(" ");
    return (
      <div class={classes} data-line={number}>
        <a class="out-number" href={href} tabIndex={-1} aria-label={`Line ${number}`}>
          {number}
        </a>
        {time !== null && <span class="out-time">{time}</span>}
        <bdo dir="ltr" class="out-text">
          {fold && this.foldButton(fold, isFolded)}
          {line === null ? <span class="out-coming">...</span> : this.content(line)}
        </bdo>
      </div>
    );
  }

  foldButton(fold: OutputFold, isFolded: boolean) {
    const { line } = this.props;
    const count = fold.last === null ? "" : fold.last - fold.first;
    const isRepeat = fold.kind === "repeat";
    const times = `${Number(count) + 1} times`;
    const name = isRepeat ? times : nameOf(line);
    return (
      <button
        type="button"
        class={isRepeat ? "out-fold is-repeat" : "out-fold"}
        aria-expanded={!isFolded}
        aria-label={
          isRepeat
            ? `The same line ${times}`
            : `Section ${name}${count === "" ? "" : `, ${count} lines`}`
        }
        onClick={() => this.props.toggleFold(fold)}
      >
        <span aria-hidden="true" class="out-arrow" />
        {isRepeat ? times : isFolded && count !== "" ? `${count}` : ""}
      </button>
    );
  }

  content({ content, look }: SourceLine) {
    const { fold, query } = this.props;
    if (typeof content !== "string") return this.cutContent(content, look);
    const isHeading = fold !== null && fold.kind !== "repeat";
    const raw = isHeading && fold.kind === "group" ? nameOf(this.props.line) : content;
    const parts = paint(partsOf(raw, look), query);
    return isHeading ? <b>{parts}</b> : parts;
  }

  cutContent(cut: CutLine, look: Look) {
    const { query } = this.props;
    const returned = cut.tail.lastIndexOf("\r");
    // A progress bar: only its last state is to be seen, and that is near the end.
    if (returned >= 0)
      return paint(partsOf(cut.tail.slice(cut.tail.indexOf("\r") + 1), look), query);
    const { more, moreBytes } = this.state;
    const hidden = cut.hiddenTo - cut.hiddenFrom - moreBytes;
    // An escape sequence that was cut in two is none.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: its ESC is what it looks for
    const head = (cut.head + more).replace(hidden > 0 ? /\x1b[^m]{0,30}$/ : /$^/, "");
    return (
      <>
        {paint(partsOf(head, look), query)}
        {hidden > 0 && this.moreButton(hidden, moreBytes)}
        {paint(partsOf(cut.tail, plainLook), query)}
      </>
    );
  }

  moreButton(hidden: number, shown: number) {
    const { source, line } = this.props;
    if (shown >= mostMoreBytes) {
      const url = source.url("", { offset: line!.offset, limit: shown + hidden });
      return (
        <a class="out-more" href={url} target="_blank" rel="noopener noreferrer">
          {formatBytes(hidden)} more in the raw output
        </a>
      );
    }
    return (
      <button type="button" class="out-more" onClick={() => void this.loadMore()}>
        {this.state.problem
          ? "The boss does not answer: try again"
          : `show ${formatBytes(hidden)} more`}
      </button>
    );
  }

  async loadMore() {
    const { source, line } = this.props;
    if (!line || typeof line.content === "string") return;
    const { hiddenFrom, hiddenTo } = line.content;
    const { moreBytes, more } = this.state;
    const offset = line.offset + hiddenFrom + moreBytes;
    const limit = Math.min(moreAtOnceBytes, hiddenTo - hiddenFrom - moreBytes);
    try {
      const response = await fetchAgain(source.url("", { offset, limit }));
      if (!response.ok) throw new Error();
      const bytes = new Uint8Array(await response.arrayBuffer());
      // Not within a character, where more is to come.
      let end = bytes.length;
      if (limit === moreAtOnceBytes) while (end > 0 && (bytes[end - 1]! & 0xc0) === 0x80) end -= 1;
      if (limit === moreAtOnceBytes && bytes[end - 1]! >= 0xc0) end -= 1;
      const text = new TextDecoder().decode(bytes.subarray(0, end));
      this.setState({ more: more + text, moreBytes: moreBytes + end, problem: false });
    } catch {
      this.setState({ problem: true });
    }
  }
}

function nameOf(line: SourceLine | null): string {
  const raw = typeof line?.content === "string" ? line.content : "";
  const mark = sectionMark(raw);
  return mark && mark.kind !== "end-group" ? mark.name : raw;
}

export function paint(line: LineParts, query: Query | null): JSX.Element[] | string {
  const parts = query === null ? line.parts : markHits(line, hitsIn(line.text, query));
  // So that copying keeps it.
  if (parts.length === 0) return "\n";
  const [only] = parts;
  if (parts.length === 1 && only!.kind === "text" && only!.look === plainLook && !only!.isHit) {
    return only!.text;
  }
  return parts.map((part, index) => <PartView key={index} part={part} />);
}

function PartView({ part }: { part: Part }) {
  const look = lookOf(part.look);
  const text = part.kind === "odd" ? part.words : part.text;
  const inner = part.isHit ? <mark>{text}</mark> : text;
  if (part.kind === "link") {
    return (
      <a {...look} href={part.href} target="_blank" rel="noopener noreferrer">
        {inner}
      </a>
    );
  }
  if (part.kind === "odd") {
    return (
      <span
        class="out-odd"
        title="A character that cannot be seen, or that changes the direction of text"
      >
        {inner}
      </span>
    );
  }
  return <span {...look}>{inner}</span>;
}

function lookOf(look: Look) {
  if (look === plainLook) return {};
  const { fg, bg } = look.inverse ? { fg: look.bg ?? "back", bg: look.fg ?? "text" } : look;
  const classes = [
    look.bold && "is-bold",
    look.dim && "is-dim",
    look.italic && "is-italic",
    look.underline && "is-underlined",
    look.strike && "is-struck",
    fg !== null && (isNamed(fg) ? `fg-${fg}` : "fg-any"),
    bg !== null && (isNamed(bg) ? `bg-${bg}` : "bg-any"),
  ].filter(Boolean);
  const style = {
    ...(fg !== null && !isNamed(fg) && { "--fg": hexOf(fg) }),
    ...(bg !== null && !isNamed(bg) && { "--bg": hexOf(bg) }),
  };
  return { class: classes.join(" "), style };
}

function isNamed(color: number | string): boolean {
  return typeof color === "number" ? color < 16 : !color.startsWith("#");
}

/** Of the palette's cube of 216 colors and its 24 grays. */
function hexOf(color: number | string): string {
  if (typeof color === "string") return color;
  if (color >= 232) return hex([8 + 10 * (color - 232)].flatMap((gray) => [gray, gray, gray]));
  const cube = color - 16;
  return hex(
    [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((n) => (n ? 55 + 40 * n : 0)),
  );
}

function hex(rgb: number[]): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
