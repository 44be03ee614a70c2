import type { PageProps } from "./page.js";

export function WorkersPage(_: PageProps) {
  return <h1>Workers</h1>;
}
