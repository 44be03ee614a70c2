export type LogLevel = "info" | "warn" | "error";

/** What a program may want to look for, besides the words. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** One record. The message is complete without the fields: they are for programs. */
export type Log = (message: string, details?: LogDetails) => void;

export interface LogDetails {
  /** Default: info. */
  readonly level?: LogLevel;
  readonly fields?: LogFields;
}
