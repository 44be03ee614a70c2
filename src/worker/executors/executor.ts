// What every way of running a command must offer. test/contracts/executor.ts holds all of them to it.

import type { BuildResult, ImageBuild } from "../../wire/image-build.js";
import type { TerminalSize } from "../../wire/kept.js";
import type { ServiceRequest } from "../../wire/service.js";
import type { CommandRequest, ExpectedSandbox } from "../../wire/worker.js";
import type { SandboxFiles } from "../sandbox-files.js";
import type { SourceLayer, SourcePlace } from "../sources/places.js";
import type { SourceName } from "../sources/source-name.js";
import type { BorrowedTree } from "../sources/store.js";

export interface Executor {
  /** As in `--executor`. */
  readonly name: string;
  /** Whether a command is kept apart from the machine it runs on. */
  readonly isolated: boolean;

  /** Whether a sandbox can see folders beside its source. */
  readonly takesFolders?: true;

  /**
   * Makes a sandbox for one command, without running it. An implementation may have made the sandbox
   * long before it knew the command; the caller cannot tell, and need not.
   *
   * With services, resolves when all of them are ready, and reach the command and each other by their names, on
   * a network that no other sandbox is on. An executor that cannot do that rejects, before it starts anything.
   *
   * Rejects with an ExecutorFault where that is impossible, and soon after the signal is aborted.
   * A rejected open leaves nothing behind.
   */
  open(spec: SandboxSpec, io: OpenOptions): Promise<Sandbox>;

  /**
   * Tells, now and at each change, why no sandbox can be opened for the time being, in words; null: it can.
   * Absent: that cannot happen.
   */
  onProblem?(listener: (problem: string | null) => void): void;

  /**
   * What is about to be asked for, so that it can be made ahead. Rejects never; absent: sandboxes cost nothing here.
   */
  expect?(expected: readonly ExpectedSandbox[]): Promise<void>;

  /** Tells at each change how many sandboxes wait for a command. */
  onReady?(listener: (ready: number) => void): void;

  /** Nothing will be opened any more: ends what was made ahead. Resolves when it is gone. */
  relax?(): Promise<void>;

  /** The last call: nothing is open any more. Ends what the executor itself holds. */
  close(): Promise<void>;
}

/** Everything about a command but its deadline, which is the worker's business; `env` may hold secrets. */
export type SandboxSpec = Omit<
  CommandRequest,
  | "timeoutMs"
  | "secrets"
  | "source"
  | "build"
  | "results"
  | "artifacts"
  | "filesBuild"
  | "cache"
  | "services"
  | "serviceBuilds"
  | "keepFailedMs"
> & {
  readonly source?: SandboxSource;
  /** Others that are the sandbox's alone. A path that is not absolute begins where the image starts commands. */
  readonly folders?: readonly SandboxFolder[];
  /** The image is to be made of this; `only`: the sandbox is the build itself, and `run` builds. */
  readonly build?: SandboxBuild;
  readonly services?: Readonly<Record<string, ServiceSpec>>;
};

export interface SandboxBuild extends Omit<ImageBuild, "source"> {
  readonly tree: BorrowedTree;
}

/** `env` may hold secrets. */
export type ServiceSpec = Omit<ServiceRequest, "secrets"> & { readonly build?: SandboxBuild };

/** The code under test. */
export interface SandboxSource {
  readonly tree: SourceName;
  /** Where the sandbox sees it, and where the command starts unless `workdir` says otherwise. */
  readonly path: string;
  /** What it finds there besides. */
  readonly layers?: readonly SourceLayer[];
}

/** A folder of this machine that is the sandbox's alone. */
export interface SandboxFolder {
  readonly folder: string;
  /** Where the sandbox sees it. */
  readonly path: string;
}

/** Gives a folder of this machine that one sandbox sees as its source: empty, until the source is known. */
export type MakePlace = () => Promise<SourcePlace>;

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** What the user should see while waiting (an image is being pulled); becomes part of the output. */
  readonly progress: (text: string) => void;
  /** Given where the spec has services. */
  readonly services?: ServicesIo;
  /**
   * To be asked when it is known what the sandbox would be made of, by the id of its image, and before anything is
   * made of that: what it gives is the sandbox. Null: it is to be made. May be asked again where an open is tried anew.
   */
  readonly instead?: (imageId: string) => Promise<Sandbox | null>;
}

export interface ServicesIo {
  /** Where what it prints goes, from its first byte on; asked for once. */
  output(service: string): OutputSink;
  /** It has ended by itself, after open has resolved and before the command has ended. */
  died(service: string, exit: SandboxExit): void;
}

/**
 * Order: run, once; dispose, always, also after a failed run or instead of one, and safe to call twice.
 * kill may come at any time from open to dispose, also before run has really started the command:
 * it then takes effect as soon as there is something to kill.
 */
export interface Sandbox {
  readonly id: string;

  /**
   * Runs the command. Resolves when it has ended, by itself or killed, and the sink has taken every byte
   * it wrote to stdout and stderr, in the order written as far as the executor can know it.
   * Rejects with an ExecutorFault when the end of the command could not be learned.
   */
  run(sink: OutputSink): Promise<SandboxExit>;

  /**
   * SIGTERM asks, SIGKILL ends; every process in the sandbox is meant, as far as the executor can.
   * False: the command has ended already, and what is left of run is to learn how and to bring its output.
   */
  kill(signal: "SIGTERM" | "SIGKILL"): boolean;

  /** What the command has left; to be asked for between the end of run and dispose. Absent: it cannot be read. */
  readonly files?: SandboxFiles;

  /** Resolves when nothing of the command runs any more; after run. Absent: that is so when run has resolved. */
  settle?(): Promise<void>;

  /** The source as the command has left it, where it sees a folder of this machine. */
  readonly sourceFolder?: string;

  /**
   * A tar of a folder, by its path in the sandbox; null: there is none. Absent: what the command writes in the folders
   * of the spec is written on this machine.
   */
  readonly readFolder?: (path: string) => Promise<AsyncIterable<Uint8Array> | null>;
  /**
   * To be called when the command has ended: ends the services, and resolves when all that they wrote has been
   * taken. Never rejects. Absent: there are none.
   */
  endServices?(): Promise<void>;
  /**
   * To be asked of a command that did not pass, after endServices where that is called: why it says nothing, since a
   * service was lost while it ran; null: none was. Never rejects. Absent: there are none.
   */
  lostService?(): Promise<ExecutorFault | null>;
  /** Lets people in between the end of run and dispose. Absent: nobody can enter. */
  readonly door?: SandboxDoor;

  /** Ends what still runs and removes every trace. Never rejects. */
  dispose(): Promise<void>;
}

/** Order: rest, first of all; then enter and rest in turns. */
export interface SandboxDoor {
  /** Ends all that runs in the sandbox; its files stay. Rejects where the machinery has failed. */
  rest(): Promise<void>;
  /** A shell in the command's folder, as its user, in its environment. Wakes a sandbox that rests. */
  enter(options: EnterOptions): Promise<SandboxTerminal>;
}

export interface EnterOptions {
  /** Absent: no terminal, and standard error is told apart. */
  readonly size?: TerminalSize | undefined;
  /** Besides the command's. */
  readonly env: Readonly<Record<string, string>>;
}

export interface SandboxTerminal {
  /** To be read once. Nothing is taken from the shell before it is asked for here. */
  readonly output: AsyncIterable<TerminalChunk>;
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): void;
  resize(size: TerminalSize): Promise<void>;
  /** After the end of output. */
  exitCode(): Promise<number>;
  /** As when a terminal's window is closed. Safe to call twice, and after the shell's end. */
  hangUp(): Promise<void>;
}

export interface TerminalChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** A promise means: no more until it resolves. The chunk belongs to the sink from then on. */
export type OutputSink = (chunk: Uint8Array) => Promise<void> | undefined;

export interface SandboxExit {
  readonly exitCode: number;
  /** Some process of the sandbox was killed for want of memory. */
  readonly outOfMemory: boolean;
  /** A further process was refused for the limit of them, as far as the executor can know. */
  readonly outOfProcesses?: boolean;
  /** Of a build; of a command, why its image could not be built. */
  readonly build?: BuildResult;
}

/** The machinery failed; says nothing about the command. */
export class ExecutorFault extends Error {
  readonly hint: string | undefined;
  /** What holds the sandboxes has failed, or was told to end them: later, or elsewhere, it may well work. */
  readonly lost: boolean;

  constructor(
    message: string,
    { hint, lost = false }: { hint?: string | undefined; lost?: boolean } = {},
  ) {
    super(message);
    this.name = "ExecutorFault";
    this.hint = hint;
    this.lost = lost;
  }
}
