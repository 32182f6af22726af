/** Why a manifest was believed: given by the caller as it is, or signed by keys of theirs. */
export type ManifestTrustSource =
  | { readonly source: 'caller' }
  | {
      readonly source: 'signature';
      /** Names of the keys, or subjects of the certificates, whose signatures counted. */
      readonly keyIds: readonly string[];
      /** The manifest's own version number, when its signers gave it one: the lowest of theirs. */
      readonly version?: number;
      /** The window in which every counted signature is valid, milliseconds since the epoch. */
      readonly notBeforeMs?: number;
      readonly notAfterMs?: number;
    };

/** The manifest that evidence was compared with. */
export interface ManifestReport {
  /**
   * SHA-256 of the manifest's bytes, hex: of the file as given, of the payload of a signed one (so
   * that signing a file does not change it), of `JSON.stringify` of an object.
   */
  readonly sha256: string;
  readonly trust: ManifestTrustSource;
  /** Whether the caller waived that it pins what makes an image (`allowPartialManifest`). */
  readonly partialAllowed: boolean;
}
