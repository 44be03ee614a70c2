// Folders that a worker keeps from one command to the next: dependencies, most often. A command gets a private copy of
// what an earlier one has left under the same key; the first that passes under a new key leaves its own.

import * as z from "zod";
import { cachePathProblem } from "../lib/cache-words.js";
import { CommandSource } from "./source.js";

/** May hold what stands for the hash of files, see lib/cache-words.ts. */
const key = z.string().min(1).max(2_000);

const path = z.string().superRefine((text, context) => {
  const problem = cachePathProblem(text);
  if (problem !== null) context.addIssue({ code: "custom", message: problem });
});

export const AskedCache = z.strictObject({
  key,
  /** Beginnings of keys: the latest cache with the first of them that any has will do where the key has none. */
  restoreKeys: z.array(key).max(10).optional(),
  /** Absolute, or from the folder that the command starts in. */
  paths: z.array(path).min(1).max(20),
});
export type AskedCache = z.infer<typeof AskedCache>;

export const CommandCaches = z.strictObject({
  /** Of those who share caches; a text that nobody else can guess. */
  scope: z.string().min(16).max(200),
  caches: z.array(AskedCache).min(1).max(10),
  /** The tree that keys are made of where the command has no source. */
  hashed: CommandSource.pick({ tree: true, key: true }).optional(),
});
export type CommandCaches = z.infer<typeof CommandCaches>;
