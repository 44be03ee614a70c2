// The boss without its HTTP face: what `bettertest run` and library users drive, and what the API serves.
export {};
