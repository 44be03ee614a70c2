// One field that finds pipelines, runs and tasks, and does what can be done.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageProps } from "./page.js";
import { findItems, type Item, itemsOf } from "./palette-items.js";

export function Palette({ state, actions, mode }: PageProps & { mode: "all" | "run" }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  // What is offered does not change under the reader's hands.
  const items = useMemo(() => itemsOf(state, actions, mode), [mode]);
  const found = useMemo(() => findItems(items, text), [items, text]);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at, found]);

  const close = () => actions.send({ type: "overlay-closed", kind: "palette" });
  const choose = (item: Item | undefined) => {
    if (!item) return;
    close();
    item.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = found.length - 1;
    const moves: Record<string, number> = {
      ArrowDown: at === last ? 0 : at + 1,
      ArrowUp: at === 0 ? last : at - 1,
      PageDown: Math.min(last, at + 10),
      PageUp: Math.max(0, at - 10),
    };
    const next = moves[event.key];
    if (next === undefined && event.key !== "Enter") return;
    event.preventDefault();
    if (event.key === "Enter") choose(found[at]);
    else setAt(Math.max(0, next ?? 0));
  };
  const label = mode === "run" ? "Start a run" : "Find or do";
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside it closes it, as Escape does
    <dialog
      class="dialog palette"
      ref={dialog}
      aria-label={label}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : undefined}
        aria-label={label}
        placeholder={
          mode === "run"
            ? "Run which pipeline, stage or task?"
            : "A pipeline, run, task or action..."
        }
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div class="palette-list" id="palette-list" role="listbox" aria-label="What fits" ref={list}>
        {found.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: its keys are those of the field above
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus
          <div
            key={`${item.kind} ${item.words}`}
            id={`palette-${index}`}
            class="palette-item"
            role="option"
            aria-selected={index === at}
            onClick={() => choose(item)}
            onMouseMove={() => setAt(index)}
          >
            <span class="palette-kind">{item.kind}</span>
            <bdi>{item.words}</bdi>
            <bdi class="quiet">{item.detail}</bdi>
          </div>
        ))}
      </div>
      {found.length === 0 && <p class="quiet padded">Nothing fits.</p>}
    </dialog>
  );
}
