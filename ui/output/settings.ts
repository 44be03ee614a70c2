// How the reader likes outputs, remembered by the browser where it lets us.

export interface Settings {
  readonly isWrapped: boolean;
  readonly hasTimes: boolean;
}

const key = "bettertest-output";

export function loadSettings(): Settings {
  const settings = { isWrapped: true, hasTimes: false };
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
    if (typeof kept === "object" && kept !== null) {
      if ("isWrapped" in kept) settings.isWrapped = kept.isWrapped === true;
      if ("hasTimes" in kept) settings.hasTimes = kept.hasTimes === true;
    }
  } catch {
    // Without storage everything works, only nothing is remembered.
  }
  return settings;
}

export function saveSettings(settings: Settings): void {
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {
    // As above.
  }
}
