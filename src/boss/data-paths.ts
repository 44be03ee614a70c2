// What is where in a boss's data folder.

export const historyFile = "history.db";
export const outputsFolder = "outputs";
