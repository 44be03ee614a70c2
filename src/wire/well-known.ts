// What both ends and the command line know without asking.

export const defaultBossPort = 9001;
export const defaultBossUrl = `http://localhost:${defaultBossPort}`;
export const defaultWorkerPort = 9009;
export const defaultWorkerUrl = `http://localhost:${defaultWorkerPort}`;
/** No client is worth a sandbox for longer than it takes to notice and mend it by hand. */
export const longestLeaseMs = 24 * 3_600_000;
/** A day: longer ago nobody remembers what the sandbox was about. */
export const longestKeptMs = 24 * 3_600_000;
/** How long the opening of a terminal may take: a container is started for it. */
export const terminalOpenMs = 120_000;
