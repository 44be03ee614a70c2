// What one look at the machine finds.

export interface Finding {
  readonly name: string;
  /** "warning": something bettertest can do without. "wrong": something it needs. */
  readonly status: "ok" | "warning" | "wrong";
  readonly detail: string;
  /** What to do. */
  readonly hint?: string;
}

export function ok(name: string, detail: string): Finding {
  return { name, status: "ok", detail };
}

export function warning(name: string, detail: string, hint: string): Finding {
  return { name, status: "warning", detail, hint };
}

export function wrong(name: string, detail: string, hint: string): Finding {
  return { name, status: "wrong", detail, hint };
}
