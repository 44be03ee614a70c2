// The command line's entry. Everything expected ends in an exit code and, on stderr, a sentence.

import { exitCodes } from "../model/exit-code.js";
import { version } from "../version.js";
import { interruptOnce } from "./interrupt.js";

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    process.stdout.write(`${version}\n`);
    return exitCodes.passed;
  }
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
    return error.status >= 500 ? exitCodes.errored : exitCodes.usage;
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

// `bettertest run | head -1`, or a terminal that was closed: nobody reads on. What runs is ended in order,
// as by a signal; a command that runs nothing is done.
let readerGone = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", () => {
    if (readerGone) return;
    readerGone = true;
    if (!interruptOnce()) process.exit(exitCodes.passed);
  });
}

const exitCode = await main(process.argv.slice(2));
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(exitCode);
