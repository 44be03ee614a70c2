// How a source tree is asked for, and what is heard where it cannot be had.

export interface SourceName {
  readonly tree: string;
  /** Of whoever names it: only who has told a tree's every content may. */
  readonly key: string;
}

export class SourceFault extends Error {}
