// The code under test on its way to a worker. The contract:
//
//   PUT  /trees/{hash}           a tree's list, and contents that the worker may lack -> TreeAnswer
//                                 bettertest-source-base: HASH: the list says what differs from that tree
//   POST /trees/{hash}/contents  contents of a tree that was PUT -> TreeAnswer
//   GET  /trees/{hash}           its whole list
//   POST /trees/{hash}/read      { contents: [HASH] } -> these
//   POST /sources/git            GitRequest -> GitAnswer: the worker fetches by itself, and makes a tree of a commit
//
// Every request bears bettertest-source-key. Whoever has told every content of a tree under a key may name the
// tree under that key, and nobody else may: so bosses that share a worker see each other's files only where
// they hold the same.
//
// A list is a length (4 bytes) and the text of source/manifest.ts; contents are those of source/pack.ts. A body may
// be deflated (content-encoding: deflate). A stream that is cut is no loss: what had come of it is kept, and
// the answer to the next PUT names only the rest.

import * as z from "zod";

export const sourceHeaders = {
  key: "bettertest-source-key",
  base: "bettertest-source-base",
} as const;

export const longestListBytes = 256 * 2 ** 20;

const hash = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex");

export const TreeAnswer = z.discriminatedUnion("status", [
  z.object({ status: z.literal("ready") }),
  /** Nothing is known of the base, or of the tree: send the whole list. */
  z.object({ status: z.literal("unknown-base") }),
  /** Contents that must come first. */
  z.object({ status: z.literal("lacking"), missing: z.array(hash) }),
]);
export type TreeAnswer = z.infer<typeof TreeAnswer>;

export const ContentsRequest = z.strictObject({ contents: z.array(hash) });

export const GitRequest = z.strictObject({
  url: z.string().min(1).max(4096),
  ref: z.string().min(1).max(1024),
  /** Which it was, where that was found out before. */
  commit: z
    .string()
    .regex(/^[0-9a-f]{40,64}$/)
    .optional(),
  /** For this request alone. */
  credentials: z
    .strictObject({ username: z.string().max(1024), password: z.string().max(16_384) })
    .optional(),
});
export type GitRequest = z.infer<typeof GitRequest>;

export const GitAnswer = z.object({ commit: z.string(), tree: hash });
export type GitAnswer = z.infer<typeof GitAnswer>;

/** What a command's sandbox sees as its folder. */
export const CommandSource = z.strictObject({
  tree: hash,
  key: z.string().min(16).max(200),
  /** Where; it is also where the command starts, unless `workdir` says otherwise. */
  path: z
    .string()
    .regex(/^\/[^\0:]+$/, "must be an absolute path")
    .optional(),
});
export type CommandSource = z.infer<typeof CommandSource>;

export const defaultSourcePath = "/workspace";

/** What a task has left, "Stage.task"; or what a build of the run has given, by the name of that. */
export const LeftBy = z.union([
  z.string().min(1).max(1000),
  z.strictObject({ files: hash }).readonly(),
]);
export type LeftBy = z.infer<typeof LeftBy>;

/** As a pipedef asks for it. */
export const AskedSource = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("workspace"), path: CommandSource.shape.path }),
  z.strictObject({
    kind: z.literal("git"),
    url: GitRequest.shape.url,
    ref: GitRequest.shape.ref,
    /** Name of the secret that is the password; `NAME:PASSWORD` where there is a user's name as well. */
    secret: z.string().optional(),
    path: CommandSource.shape.path,
  }),
  /** What earlier tasks of the run have left. */
  z.strictObject({
    kind: z.literal("artifacts"),
    tasks: z.array(LeftBy).min(1).max(100).readonly(),
    /** On top of the working tree. */
    over: z.literal("workspace").optional(),
    path: CommandSource.shape.path,
  }),
]);
export type AskedSource = z.infer<typeof AskedSource>;
