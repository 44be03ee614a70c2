import type * as z from "zod";

export interface IssueInWords {
  /** "" for the whole. */
  readonly field: string;
  readonly text: string;
}

/** What does not fit its schema, with the name of the field before it. */
export function issuesInWords({ issues }: z.ZodError): IssueInWords[] {
  return issues.map((issue) => {
    const field = issue.code === "unrecognized_keys" ? issue.keys.join(", ") : issue.path.join(".");
    return { field, text: field === "" ? issue.message : `${field}: ${issue.message}` };
  });
}
