import { applyTheme, storedTheme } from "./theme.js";

applyTheme(storedTheme());
