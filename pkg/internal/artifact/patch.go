package artifact

// Patch is what an artifact replaces in code that already runs. Addresses are
// those of the files, as their symbol tables have them; where the files are
// mapped the host finds out.
type Patch struct {
	// Base is what is patched: "" for the host's binary, else the key of the
	// generation whose artifact it is.
	Base string `json:"base,omitempty"`
	// Functions are the replaced ones and the new ones, sorted by name. They
	// are all that differ from the base: a patch takes the place of the one
	// before it, it does not add to it.
	Functions []PatchedFunction `json:"functions"`
	// Variables and Types are the package variables and the types that the base
	// does not have. The first artifact that brings one defines it for good, so
	// later ones must mean the same by the name.
	Variables []AddedSymbol `json:"variables,omitempty"`
	Types     []AddedSymbol `json:"types,omitempty"`
	// Packages are those of the user's modules that the base does not have, with
	// hashes of their sources: all of what they define is defined for good.
	Packages []AddedSymbol `json:"packages,omitempty"`
	Notes    []Finding     `json:"notes,omitempty"` // what applies only after a restart
}

// PatchedFunction is a function of a patch.
type PatchedFunction struct {
	Name string `json:"name"` // as the linker spells it: example.com/shop/cart.(*Cart).Total
	New  uint64 `json:"new"`  // address in the artifact
	// Old is the address in the base, 0 where the base does not have the
	// function, or where what runs must not be sent to the new one.
	Old  uint64 `json:"old,omitempty"`
	Size uint64 `json:"size,omitempty"` // of the old one, in bytes
	Was  string `json:"was,omitempty"`  // first 16 bytes of the old one, or all of fewer; hex
	// Contract is a hash of what callers rely on: the signature, and which
	// arguments the function keeps. A function that an earlier patch brought is
	// replaced only where it is the same.
	Contract string `json:"contract"`
	// Unlike says that the function keeps arguments that the base's does not,
	// or the other way round. Code compiled against one must not call the
	// other: the host refuses where an artifact calls it by name.
	Unlike bool   `json:"unlike,omitempty"`
	Reason string `json:"reason,omitempty"` // why it is in the patch, where it was not edited itself
}

// AddedSymbol is a variable or a type that a patch brings.
type AddedSymbol struct {
	Name string `json:"name"` // as the linker spells it
	Hash string `json:"hash"` // of its type, or of its layout and methods; hex
}

// Finding is an entry of the catalogue of edits that applies to a change.
type Finding struct {
	Code   string `json:"code"` // such as HG0031
	Symbol string `json:"symbol,omitempty"`
	Text   string `json:"text"` // one sentence
}
