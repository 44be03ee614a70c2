// Completion scripts, made from the list of commands. Only the names of tasks need the program itself.

import { allTasks, taskLabel } from "../model/pipeline.js";
import { loadPipedef } from "./check/load.js";
import type { Command } from "./command.js";
import { findPipedef } from "./find-pipedef.js";

type Shell = "bash" | "zsh" | "fish";

export async function completionScript(shell: Shell): Promise<string> {
  // Not at the top: the list holds the command that this serves.
  const { commands } = await import("./program.js");
  switch (shell) {
    case "bash":
      return bashScript(commands);
    case "zsh":
      return `#compdef bettertest\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`;
    case "fish":
      return fishScript(commands);
    default:
      return shell satisfies never;
  }
}

/** One a line; nothing where there is no pipedef or it does not load: a completion says nothing wrong. */
export async function taskNames(): Promise<string> {
  try {
    const pipedef = findPipedef(undefined, process.cwd());
    const flags = { "pipedef-host": "thread", "pipedef-memory": "512m" } as const;
    const loaded = await loadPipedef(pipedef, flags, () => {});
    if (!loaded.ok) return "";
    const stages = loaded.pipeline.stages.map((stage) => stage.name);
    const tasks = allTasks(loaded.pipeline).map(taskLabel);
    return [...stages, ...tasks].map((name) => `${name}\n`).join("");
  } catch {
    return "";
  }
}

function flagsOf(command: Command): string[] {
  return Object.keys(command.flags).map((name) => `--${name}`);
}

function choicesOf(command: Command): [flag: string, choices: string][] {
  return Object.entries(command.flags).flatMap(([name, flag]) =>
    flag.choices ? [[`--${name}`, flag.choices.join(" ")]] : [],
  );
}

function bashScript(commands: readonly Command[]): string {
  const perCommand = commands.map((command) => {
    const choices = choicesOf(command)
      .map(([flag, words]) => `      ${flag}) words="${words}" ;;`)
      .join("\n");
    return [
      `    ${command.name})`,
      `      flags="${flagsOf(command).join(" ")} --help"`,
      ...Object.values(command.positionals).flatMap(({ choices }) =>
        choices ? [`      words="${choices.join(" ")}"`] : [],
      ),
      ...(choices ? [`      case "$previous" in\n${choices}\n      esac`] : []),
      "      ;;",
    ].join("\n");
  });
  return `# bettertest completion: source <(bettertest completion bash)
_bettertest() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="\${COMP_WORDS[1]}" flags="" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$current"))
    return
  fi
  if [ "$previous" = --only ]; then
    # Names may hold anything, and compgen -W would run what is in them. Bash adds them as they are, since what it
    # quotes of file names is not enough here; zsh quotes by itself.
    [ -z "$BASH_VERSION" ] || compopt +o filenames 2>/dev/null
    local typed name open=""
    case "$current" in
      [\\"\\']*) open="\${current:0:1}"; typed="\${current:1}" ;;
      *) IFS= read typed <<< "$current" ;;
    esac
    while IFS= read -r name; do
      [[ "$name" == "$typed"* ]] || continue
      case "$open$name" in
        # Within these quotes it cannot be said.
        \\'*\\'* | \\"*[\\\\\\"\\$\\\`!]*) continue ;;
      esac
      if [ -n "$BASH_VERSION" ] && [ -z "$open" ]; then printf -v name %q "$name"; fi
      COMPREPLY+=("$name")
    done < <(bettertest completion tasks 2>/dev/null)
    return
  fi
  case "$command" in
${perCommand.join("\n")}
  esac
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _bettertest bettertest
`;
}

function fishScript(commands: readonly Command[]): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const names = commands.map(({ name }) => name).join(" ");
  const lines = commands.flatMap((command) => [
    `complete -c bettertest -n "not __fish_seen_subcommand_from ${names}" -f -a ${command.name} -d ${quoted(command.summary)}`,
    ...Object.entries(command.flags).map(([name, flag]) => {
      const seen = `-n "__fish_seen_subcommand_from ${command.name}" -l ${name}`;
      const takes = flag.type === "boolean" ? "" : " -r";
      const values = flag.choices
        ? ` -f -a ${quoted(flag.choices.join(" "))}`
        : name === "only"
          ? " -f -a '(bettertest completion tasks 2>/dev/null)'"
          : "";
      return `complete -c bettertest ${seen}${takes}${values} -d ${quoted(flag.describe ?? flag.description ?? "")}`;
    }),
  ]);
  return `# bettertest completion\n${lines.join("\n")}\n`;
}
