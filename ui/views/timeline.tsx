import type { PageProps } from "./page.js";

export function TimelinePage(_: PageProps) {
  return <h1>Timeline</h1>;
}
