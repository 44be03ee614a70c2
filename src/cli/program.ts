// Reads the arguments, calls one command, and turns whatever comes of it into an exit code.

import yargs, { type Arguments } from "yargs";
import { exitCodes } from "../model/exit-code.js";
import { type CliError, usageError } from "./cli-error.js";
import type { Command } from "./command.js";
import { artifactsCommand } from "./commands/artifacts.js";
import { auditCommand } from "./commands/audit.js";
import { bossCommand } from "./commands/boss.js";
import { cancelCommand } from "./commands/cancel.js";
import { checkCommand } from "./commands/check.js";
import { completionCommand } from "./commands/completion.js";
import { dataCommand } from "./commands/data.js";
import { doctorCommand } from "./commands/doctor.js";
import { initCommand } from "./commands/init.js";
import { logsCommand } from "./commands/logs.js";
import { pinCommand, unpinCommand } from "./commands/pin.js";
import { releaseCommand } from "./commands/release.js";
import { reproCommand } from "./commands/repro.js";
import { rerunCommand } from "./commands/rerun.js";
import { runCommand } from "./commands/run.js";
import { runsCommand } from "./commands/runs.js";
import { shellCommand } from "./commands/shell.js";
import { tokenCommand } from "./commands/token.js";
import { upCommand } from "./commands/up.js";
import { watchCommand } from "./commands/watch.js";
import { workerCommand } from "./commands/worker.js";
import { normalizeSpelling } from "./spellings.js";
import { closestWord } from "./suggest.js";

export const commands: readonly Command[] = [
  runCommand,
  watchCommand,
  checkCommand,
  initCommand,
  upCommand,
  bossCommand,
  workerCommand,
  runsCommand,
  logsCommand,
  artifactsCommand,
  rerunCommand,
  shellCommand,
  releaseCommand,
  reproCommand,
  cancelCommand,
  pinCommand,
  unpinCommand,
  dataCommand,
  tokenCommand,
  auditCommand,
  doctorCommand,
  completionCommand,
];

const epilogue = [
  "Exit codes: 0 passed, 1 a test failed, 2 usage or pipedef error,",
  "            3 infrastructure error, 130 interrupted.",
].join("\n");

export async function runProgram(rawArgs: readonly string[], version: string): Promise<number> {
  const args = normalizeSpelling(rawArgs);
  const parser = yargs(args)
    .scriptName("bettertest")
    .usage("$0 <command> [flags]")
    .locale("en")
    .parserConfiguration({
      // `--only A.b pipedef.ts` must not take the pipedef for a second task.
      "greedy-arrays": false,
      "dot-notation": false,
    })
    .version(version)
    .alias({ h: "help", V: "version" })
    .wrap(Math.min(100, process.stdout.columns || 80))
    .strict()
    .exitProcess(false)
    .epilogue(epilogue)
    .fail((message, error) => {
      // yargs throws some of its own refusals as errors; any other error is the command's.
      throw error && error.name !== "YError" ? error : readableUsageError(message, args);
    });

  for (const command of commands) {
    parser.command(
      command.usage,
      command.summary,
      (own) => {
        for (const [name, options] of Object.entries(command.positionals)) {
          own.positional(name, options);
        }
        own.options(command.flags);
        for (const [line, what] of command.examples) own.example(line, what);
        return own;
      },
      (argv) => {
        throw new Chosen(command, argv);
      },
    );
  }

  if (args.length === 0) {
    process.stderr.write(`${await parser.getHelp()}\n`);
    return exitCodes.usage;
  }
  try {
    await parser.parseAsync();
  } catch (error) {
    if (!(error instanceof Chosen)) throw error;
    checkValues(error.command, error.argv);
    return error.command.run(error.argv as never);
  }
  return exitCodes.passed;
}

/** How a command leaves the parser, which composes all of its help around one that returns. */
class Chosen {
  constructor(
    readonly command: Command,
    readonly argv: Arguments,
  ) {}
}

function checkValues(command: Command, argv: Arguments): void {
  for (const [name, flag] of Object.entries(command.flags)) {
    const value = argv[name];
    if (value === undefined) continue;
    if (!flag.array && Array.isArray(value)) throw usageError(`--${name} was given more than once`);
    if (flag.type === "number" && !isNumber(value, flag.fraction)) {
      throw usageError(`--${name} must be a ${flag.fraction ? "" : "whole "}number`);
    }
    if ([value].flat().includes("")) throw usageError(`--${name} must not be empty`);
  }
}

function isNumber(value: unknown, fraction = false): boolean {
  return (fraction ? Number.isFinite(value) : Number.isInteger(value)) && Number(value) >= 0;
}

/** yargs says what it does not know; here it is said which word was probably meant. */
function readableUsageError(message: string, args: readonly string[]): CliError {
  const command = commands.find(({ name }) => name === args.find((arg) => !arg.startsWith("-")));
  const unknown = /^Unknown (?:argument|command)s?: (.+)$/.exec(message)?.[1]?.split(", ") ?? [];
  const [word] = unknown;
  if (word === undefined) {
    return usageError(plainWords(message, command), seeHelp(command));
  }
  const asFlag = args.find((arg) => new RegExp(`^--?${escapeRegExp(word)}(=|$)`).test(arg));
  if (asFlag) {
    const flags = command ? [...Object.keys(command.flags), "help"] : ["help", "version"];
    const guess = closestWord(word, flags);
    const others = commands.filter(({ flags: known }) => word in known).map(({ name }) => name);
    const where = command ? `bettertest ${command.name}` : "bettertest";
    if (guess)
      return usageError(`${where} has no flag ${asFlag.split("=")[0]}. Did you mean --${guess}?`);
    const belongs = others.length > 0 ? ` It belongs to: ${others.join(", ")}.` : "";
    return usageError(`${where} has no flag ${asFlag.split("=")[0]}.${belongs}`, seeHelp(command));
  }
  if (command) {
    return usageError(`bettertest ${command.name} does not take "${word}"`, seeHelp(command));
  }
  const guess = closestWord(
    word,
    commands.map(({ name }) => name),
  );
  return usageError(
    `there is no command "${word}".${guess ? ` Did you mean "bettertest ${guess}"?` : ""}`,
    guess ? undefined : seeHelp(undefined),
  );
}

/** What yargs says of values, as a person would. */
function plainWords(message: string, command: Command | undefined): string {
  const sentence = message.trim().replace(/\s*\n\s*/g, " ");
  const valueless = /^Not enough arguments following: (.+)$/.exec(sentence)?.[1];
  if (valueless) return `--${valueless} needs a value`;
  if (command && sentence.startsWith("Not enough non-option arguments")) {
    return `something is missing: bettertest ${command.usage}`;
  }
  const [, name, given, choices] =
    /^Invalid values: Argument: (.+), Given: "(.*)", Choices: (.+)$/.exec(sentence) ?? [];
  if (name && choices && command) {
    const shown = name in command.flags ? `--${name}` : `<${name}>`;
    return `${shown} cannot be "${given}"; it is one of ${choices.replaceAll('"', "")}`;
  }
  return sentence;
}

function seeHelp(command: Command | undefined): string {
  return `See: bettertest ${command ? `${command.name} ` : ""}--help`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
