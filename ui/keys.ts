// Which key does what. Whoever is on the screen registers its keys with words for them; where two want the
// same key, the one that came last has it. "?" lists what is registered, so that no list can be outdated.

export interface KeyBinding {
  /** "j", "G", "?", "Enter", "Mod+k" (Ctrl, or Command on a Mac), "Alt+ArrowUp"; "g h": one after the other. */
  readonly keys: string;
  readonly words: string;
  /** Under which heading "?" lists it. */
  readonly group: string;
  readonly run: () => void;
  /** Also while the reader types into a field, or has a dialog before them. */
  readonly inFields?: boolean;
  /** A key that is held down does it again and again: for what moves, not for what starts or changes something. */
  readonly repeats?: boolean;
}

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  /** The reader types text there. */
  readonly inField: boolean;
  /** A dialog stands before the page, so the page gets no keys. */
  readonly inDialog: boolean;
  /** A link or a button: Enter and Space are its own. */
  readonly onControl: boolean;
  /** The key is held down. */
  readonly repeat: boolean;
}

const sequenceMs = 1200;

export class Keys {
  readonly #layers: (() => readonly KeyBinding[])[] = [];
  #before: { readonly key: string; readonly at: number } | null = null;
  #isEnabled = true;

  /** Whoever dictates to the computer may want no single letter to do anything. */
  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  enable(on: boolean): void {
    this.#isEnabled = on;
  }

  /** Returns the function that takes them away again. `bindings` is asked at every press. */
  register(bindings: () => readonly KeyBinding[]): () => void {
    this.#layers.push(bindings);
    return () => {
      const index = this.#layers.indexOf(bindings);
      if (index >= 0) this.#layers.splice(index, 1);
    };
  }

  /** What works now, the newest of each key. */
  list(): KeyBinding[] {
    const found = new Map<string, KeyBinding>();
    for (const layer of this.#layers) {
      for (const binding of layer()) found.set(binding.keys, binding);
    }
    return [...found.values()];
  }

  /** True where a binding took it. */
  press(press: KeyPress, now: number): boolean {
    const name = nameOf(press);
    const isPlain = !press.ctrlKey && !press.metaKey && name !== "Escape";
    if (press.onControl && (name === "Enter" || name === " ")) return false;
    const usable = this.list().filter(
      ({ inFields }) =>
        (inFields || !(press.inField || press.inDialog)) && (this.#isEnabled || !isPlain),
    );
    if (press.repeat) return this.#pressAgain(usable, name);
    const before = this.#before;
    this.#before = null;
    const sequence =
      before && now - before.at < sequenceMs
        ? usable.find(({ keys }) => keys === `${before.key} ${name}`)
        : undefined;
    const binding = sequence ?? usable.find(({ keys }) => keys === name);
    if (binding) {
      binding.run();
      return true;
    }
    if (usable.some(({ keys }) => keys.startsWith(`${name} `)))
      this.#before = { key: name, at: now };
    return false;
  }

  /** It begins no sequence, and ends none. */
  #pressAgain(usable: readonly KeyBinding[], name: string): boolean {
    const binding = usable.find(({ keys }) => keys === name);
    if (binding?.repeats) binding.run();
    return binding !== undefined;
  }
}

function nameOf({ key, ctrlKey, metaKey, altKey }: KeyPress): string {
  const mod = ctrlKey || metaKey ? "Mod+" : "";
  return `${altKey ? "Alt+" : ""}${mod}${mod ? key.toLowerCase() : key}`;
}

/** The page's one. */
export const keys = new Keys();
