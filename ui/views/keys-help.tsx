import { useEffect, useRef, useState } from "preact/hooks";
import { type KeyBinding, keys } from "../keys.js";

interface Props {
  readonly bindings: readonly KeyBinding[];
  close(): void;
}

export function KeysHelp({ bindings, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isEnabled, setEnabled] = useState(keys.isEnabled);
  useEffect(() => dialog.current?.showModal(), []);
  const groups = [...new Set(bindings.map(({ group }) => group))];
  return (
    <dialog class="dialog" aria-labelledby="keys-title" ref={dialog} onClose={close}>
      <header>
        <h2 id="keys-title">Keys</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      <div class="key-groups">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {bindings
                .filter((binding) => binding.group === group)
                .map(({ keys, words }) => (
                  <div key={keys}>
                    <dt>
                      {keys.split(" ").map((key) => (
                        <kbd key={key}>{nameOf(key)}</kbd>
                      ))}
                    </dt>
                    <dd>{words}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={isEnabled}
          onChange={() => {
            keys.enable(!isEnabled);
            setEnabled(!isEnabled);
          }}
        />
        Single letters do something
      </label>
    </dialog>
  );
}

function nameOf(key: string): string {
  return key.replace("Mod+", "Ctrl ").replace("Arrow", "");
}
