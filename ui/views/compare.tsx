import type { PageProps } from "./page.js";

export function ComparePage({ left, right }: PageProps & { left: number; right: number }) {
  return (
    <h1>
      {left} {right}
    </h1>
  );
}
