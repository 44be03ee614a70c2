import type { PageProps } from "./page.js";

export function Palette({ mode }: PageProps & { mode: "all" | "run" }) {
  return <p>{mode}</p>;
}
