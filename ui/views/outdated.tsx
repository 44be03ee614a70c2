/** Above what was fetched before, where what is newer has not come. */
export function Outdated({ problem }: { problem: string | null }) {
  if (problem === null) return null;
  return (
    <p class="warning padded" role="status">
      This is as it was before, the newest could not be fetched: {problem}.
    </p>
  );
}
