/** On every container and network: the process that made it. */
export const ownerLabel = "bettertest.owner";
