/** The same in every home: TypeScript lines in stacks, and no news about Node in a pipedef's output. */
export const nodeFlags = ["--enable-source-maps", "--disable-warning=ExperimentalWarning"] as const;
