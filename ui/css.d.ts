/** Bundled by scripts/build.mjs into dist/ui/app.css. */
declare module "*.css";
