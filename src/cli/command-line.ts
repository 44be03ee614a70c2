// The command line. Everything expected ends in an exit code and, on stderr, a sentence.

import { exitCodes } from "../model/exit-code.js";
import { version } from "../version.js";
import { canDoWithoutOutput, interruptOnce } from "./interrupt.js";

async function main(args: readonly string[]): Promise<number> {
  const { runProgram } = await import("./program.js");
  try {
    return await runProgram(args, version);
  } catch (error) {
    return await reportError(error);
  }
}

/** What went wrong may quote names, files and answers of others. */
async function tell(text: string): Promise<void> {
  const { harmlessText } = await import("../terminal/text.js");
  process.stderr.write(harmlessText(text));
}

async function reportError(error: unknown): Promise<number> {
  const { CliError } = await import("./cli-error.js");
  if (error instanceof CliError) {
    await tell(`bettertest: ${error.message}\n${error.hint ? `${error.hint}\n` : ""}`);
    return error.exitCode;
  }
  const { BossRefused, BossUnreachable } = await import("../wire/boss-client.js");
  if (error instanceof BossUnreachable) {
    await tell(`bettertest: ${error.message}\n`);
    return exitCodes.errored;
  }
  if (error instanceof BossRefused) {
    const hint = error.status === 401 ? "Give the token by --token-file FILE\n" : "";
    await tell(`bettertest: ${error.message}\n${hint}`);
    // Too busy for now is no mistake of who asks.
    const isUsage = error.status < 500 && error.status !== 429;
    return isUsage ? exitCodes.usage : exitCodes.errored;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  await tell(`bettertest: this is a bug in bettertest, please report it\n${text}\n`);
  return exitCodes.errored;
}

/** What is still in a pipe would be lost by an exit. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else {
      stream.write("", () => resolve());
      stream.once("close", resolve);
    }
  });
}

// `bettertest run | head -1`, or a terminal that was closed: nobody reads on. Or it cannot be written, on a full disk.
// What runs is ended in order, as by a signal; a command that runs nothing ends here. What serves goes on without a log.
let exitForced: number | null = null;
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (exitForced !== null) return;
    const isReaderGone = error.code === "EPIPE" || (error.code === "EIO" && stream.isTTY);
    if (!isReaderGone && canDoWithoutOutput()) return;
    exitForced = isReaderGone ? exitCodes.cancelled : exitCodes.errored;
    if (!isReaderGone && stream === process.stdout) {
      process.stderr.write(`bettertest: the output cannot be written: ${error.message}\n`);
    }
    if (!interruptOnce(isReaderGone ? "the end of its reader" : "an output that cannot be written"))
      process.exit(exitForced);
  });
}

void run();

async function run(): Promise<void> {
  const exitCode = await main(process.argv.slice(2));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // That a write has failed is told a moment later.
  await new Promise((resolve) => setImmediate(resolve));
  process.exit(exitForced === exitCodes.errored ? exitForced : exitCode);
}
