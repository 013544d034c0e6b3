/** package.json's version, as a constant so that it is in the bundle too; a test keeps the two equal. */
export const VERSION = '0.1.0'
