// What a pipedef prints outside its tasks. There is no file for it that could take any amount.

const mostBytes = 1024 * 1024;

/** Passes on so much of it, and then says once that there is more. */
export function boundedLoadOutput(
  take: (bytes: Uint8Array) => void = () => {},
): (bytes: Uint8Array) => void {
  let bytesTaken = 0;
  return (bytes) => {
    if (bytesTaken > mostBytes) return;
    bytesTaken += bytes.byteLength;
    take(bytes);
    if (bytesTaken <= mostBytes) return;
    const note = "\n(what the pipedef prints outside its tasks is not shown any further)\n";
    take(Buffer.from(note));
  };
}
