/** As the system or a driver names what went wrong: "ENOENT". "": it does not. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
