import type { PageProps } from "./page.js";

export function HistoryPage({ pipeline }: PageProps & { pipeline: string }) {
  return <h1>{pipeline}</h1>;
}
