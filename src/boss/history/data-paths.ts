// What is where in a boss's data folder.

export const historyFile = "history.db";
export const outputsFolder = "outputs";
/** Among them: of a run that is being taken in. */
export const importPrefix = "import-";
/** In a run's folder of outputs: what its commands have left, each file under its hash. */
export const filesFolder = "files";
