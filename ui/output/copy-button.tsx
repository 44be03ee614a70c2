import { Component } from "preact";

interface Props {
  readonly words: string;
  readonly text: () => Promise<string>;
}

const shownMs = 2000;

interface State {
  readonly state: "idle" | "done" | "failed";
  /** What could not be copied. */
  readonly text: string;
}

/** Copies, and says so; where the browser does not let it, shows the text to be copied by hand. */
export class CopyButton extends Component<Props, State> {
  override state: State = { state: "idle", text: "" };
  #timer: ReturnType<typeof setTimeout> | undefined;

  override componentWillUnmount() {
    clearTimeout(this.#timer);
  }

  #copy = async () => {
    let text = "";
    try {
      text = await this.props.text();
      await navigator.clipboard.writeText(text);
      text = "";
      this.setState({ state: "done", text });
    } catch {
      this.setState({ state: "failed", text });
    }
    clearTimeout(this.#timer);
    // What is to be copied by hand stays until the reader turns to something else.
    if (text !== "") return;
    this.#timer = setTimeout(() => this.setState({ state: "idle", text }), shownMs);
  };

  override render() {
    const { state, text } = this.state;
    const words = { idle: this.props.words, done: "Copied", failed: "Not copied" }[state];
    return (
      <span class="out-copy">
        <button type="button" onClick={() => void this.#copy()}>
          {words}
        </button>
        <span class="out-said" role="status">
          {state === "idle" ? "" : words}
        </span>
        {state === "failed" && text !== "" && (
          <textarea
            class="out-by-hand"
            aria-label="To be copied by hand"
            readOnly
            value={text}
            ref={select}
            onBlur={() => this.setState({ state: "idle", text: "" })}
          />
        )}
      </span>
    );
  }
}

/** Once, when it appears; the focus, too, so that it goes when the reader leaves it. */
function select(area: HTMLTextAreaElement | null) {
  area?.focus();
  area?.select();
}
