package reloader

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// A host with trusted keys runs nothing that none of them signed.
//
// What is verified are the bytes of the private copy, the ones that are mapped
// afterwards: whatever happens to the original in the meantime happens to
// another file. It comes before anything else is believed of them, so nobody
// without a key gets as far as the parsers of ELF and of manifests. The manifest
// is inside the signed bytes, and with it the plugin's name and the build of the
// host; the trusted comment repeats them for people, and must not contradict.
// What it adds is when: an end, and a sequence by which the host tells what is
// older than what it has taken already (sequences.go).
//
// What is refused is refused for dry runs as well: they say what a load would.

// The catalogue's codes for signatures.
const (
	ruleUnsigned   = "HG0100" // there is no signature
	ruleOtherKey   = "HG0101" // it was made with a key that is not trusted
	ruleForged     = "HG0102" // it is not of these bytes, or damaged
	ruleExpired    = "HG0103"
	ruleDowngrade  = "HG0104" // something newer was taken already
	ruleOtherClaim = "HG0105" // it is for something else than the artifact is
)

// trust is what a host checks signatures with.
type trust struct {
	keys        []minisign.PublicKey
	sequences   *sequences
	noDowngrade bool
	now         func() time.Time
}

// newTrust gives nil where nothing is to be checked. dir is Options.Dir without
// symbolic links in its path.
func newTrust(o Options, dir string) (*trust, error) {
	if o.TrustedKeys == nil {
		return nil, nil
	}
	tr := &trust{sequences: openSequences(dir), noDowngrade: o.NoDowngrade, now: time.Now}
	for i, text := range o.TrustedKeys {
		k, err := minisign.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("check options: TrustedKeys[%d]: %w", i, err)
		}
		tr.keys = append(tr.keys, k)
	}
	return tr, nil
}

// ids gives the keys' ids, sorted; never nil.
func (tr *trust) ids() []string {
	out := []string{}
	for _, k := range tr.keys {
		out = append(out, k.ID.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// distrust is the error for a signature that does not do.
func (tr *trust) distrust(rule, message string, evidence ...control.Evidence) *control.Error {
	e := &control.Error{
		Code: control.CodeSignature, Rule: rule, Message: message, Evidence: evidence,
		Limit: "the host's Options.TrustedKeys", Next: "hotgo key sign ARTIFACT with a trusted key, or hotgo push --sign-key FILE",
	}
	if len(tr.keys) == 0 {
		e.Next = "give the host a key to trust, and restart it"
	}
	return e
}

// shownKeys names the keys of which one is wanted.
func (tr *trust) shownKeys() string {
	return cmp.Or(strings.Join(tr.ids(), " or "), "none is trusted")
}

// signatureBeside reads what lies beside an artifact that is a file; "" where
// nothing does. What cannot be a signature is for its parser to refuse.
func signatureBeside(path string) string {
	// O_NONBLOCK: opening a FIFO would wait for its other end.
	f, err := os.OpenFile(path+minisign.Suffix, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "" // reading a FIFO would wait for its other end, too
	}
	b := make([]byte, minisign.MaxFile+1)
	n := 0
	for n < len(b) {
		m, err := f.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	return string(b[:n])
}

// trusted verifies the copy's signature, if the host asks for one. Nothing of the
// copy has been believed yet.
func (t *transaction) trusted() error {
	tr := t.h.trust
	if tr == nil {
		return nil
	}
	if err := onlyOurs(filepath.Dir(t.file.path)); err != nil {
		return &control.Error{
			Code: control.CodeInternal, Message: "others could exchange the artifact between its check and its loading", Err: err,
			Limit: "the host's Options.TrustedKeys", Next: "set Options.Dir (or TMPDIR) to a directory below which only this user can write, and restart the host",
		}
	}
	text := cmp.Or(t.req.signature, t.file.signature)
	if text == "" {
		return tr.distrust(ruleUnsigned, "the artifact is not signed, and this host takes signed ones only",
			control.Evidence{What: "key", Host: tr.shownKeys(), Artifact: "none"})
	}
	sig, err := minisign.ParseSignature(text)
	if err != nil {
		return tr.distrust(ruleForged, "the artifact's signature cannot be read: "+err.Error())
	}
	if err := t.verify(sig); err != nil {
		return err
	}
	claims, err := minisign.ParseClaims(sig.Comment)
	if err != nil {
		return tr.distrust(ruleForged, "the signature is good, but does not say when it was made: "+err.Error(),
			control.Evidence{What: "key", Host: sig.KeyID.String(), Artifact: sig.KeyID.String()})
	}
	t.signed = &accepted{claims: claims, Sequence: claims.Sequence, Digest: t.file.digest, Signer: sig.KeyID.String()}
	t.event.Signer = t.signed.Signer
	if now := tr.now(); !claims.Expires.IsZero() && !now.Before(claims.Expires) {
		e := tr.distrust(ruleExpired, "the artifact's signature has expired", control.Evidence{
			What: "expires", Host: "now " + now.UTC().Format(time.RFC3339), Artifact: claims.Expires.Format(time.RFC3339),
		})
		e.Limit = "whoever signed it"
		return e
	}
	return nil
}

// verify checks the bytes against the keys of which one may have signed them.
func (t *transaction) verify(sig *minisign.Signature) error {
	tr := t.h.trust
	key := control.Evidence{What: "key", Host: tr.shownKeys(), Artifact: sig.KeyID.String()}
	if !slices.ContainsFunc(tr.keys, func(k minisign.PublicKey) bool { return k.ID == sig.KeyID }) {
		return tr.distrust(ruleOtherKey, "the artifact is signed with a key that this host does not trust", key)
	}
	if !sig.Hashed {
		return tr.distrust(ruleForged, "the artifact's signature is of minisign's old form, which a host would have to keep the whole artifact in memory for", key)
	}
	err := minisign.ErrOtherKey
	for _, k := range tr.keys {
		if k.ID != sig.KeyID {
			continue
		}
		f, openErr := os.Open(t.file.path)
		if openErr != nil {
			return diskError(openErr)
		}
		err = sig.Verify(k, f)
		f.Close()
		if err == nil {
			return nil
		}
	}
	switch {
	case errors.Is(err, minisign.ErrFile):
		return tr.distrust(ruleForged, "the signature is not of this artifact: one of the two was changed, or the key only has the name of the trusted one",
			key, control.Evidence{What: "digest", Artifact: t.file.digest})
	case errors.Is(err, minisign.ErrComment):
		return tr.distrust(ruleForged, "what the signature claims was changed after it was made", key)
	}
	return diskError(err)
}

// claimed holds the signature's claims against the manifest, and its sequence
// against what was taken before. The manifest has been read, and is signed.
func (t *transaction) claimed() error {
	tr, m := t.h.trust, &t.in.manifest
	if tr == nil {
		return nil
	}
	t.signed.plugin = m.Plugin
	host := cmp.Or(m.HostBuild, minisign.AnyHost)
	c := t.signed.claims
	var lies []control.Evidence
	if c.Plugin != "" && c.Plugin != m.Plugin {
		lies = append(lies, control.Evidence{What: "plugin", Host: "signature: " + c.Plugin, Artifact: m.Plugin})
	}
	if c.Host != "" && c.Host != host {
		lies = append(lies, control.Evidence{What: "host build", Host: "signature: " + c.Host, Artifact: host})
	}
	if m.Foreign && c.Plugin == "" && t.req.plugin != "" {
		// Nothing that was signed says which plugin it is.
		e := tr.distrust(ruleOtherClaim, "the signature does not say which plugin the file is, and whoever pushes it may not",
			control.Evidence{What: "plugin", Host: "signature: none", Artifact: "request: " + shortText(t.req.plugin)})
		e.Next = "hotgo key sign --plugin " + m.Plugin + " FILE"
		return e
	}
	if len(lies) > 0 {
		return tr.distrust(ruleOtherClaim, "the signature is for something else than the artifact says it is", lies...)
	}
	if t.req.restore != nil {
		return nil // it was taken before, and going back is allowed
	}
	last, err := tr.sequences.last(m.Plugin)
	if err != nil {
		return sequenceError(err)
	}
	if !last.before(*t.signed) && !t.anyway() {
		return t.downgraded(last)
	}
	return nil
}

// anyway says whether the caller means what is older, and may.
func (t *transaction) anyway() bool { return t.req.downgrade && !t.h.trust.noDowngrade }

// downgraded is the error for what is older than what was taken last.
func (t *transaction) downgraded(last accepted) error {
	tr := t.h.trust
	e := tr.distrust(ruleDowngrade, fmt.Sprintf("%s was signed before what this host has taken already", t.signed.plugin),
		control.Evidence{What: "sequence", Host: "above " + strconv.FormatUint(last.Sequence, 10), Artifact: strconv.FormatUint(t.signed.Sequence, 10)},
		control.Evidence{What: "digest", Host: last.Digest, Artifact: t.file.digest})
	e.Next = "sign it anew if it is what you want, or hotgo push --allow-downgrade ARTIFACT"
	if tr.noDowngrade {
		e.Limit, e.Next = "the host's Options.NoDowngrade", "hotgo rollback, or sign it anew if it is what you want"
	}
	return e
}

// accept remembers what is about to become live, so that nothing older can
// follow it. It is done before, for a host that cannot remember takes nothing;
// takeBack is for a load that fails after all.
func (t *transaction) accept() (takeBack func(), err error) {
	tr := t.h.trust
	if tr == nil || t.req.dryRun || t.req.restore != nil { // what is restored was entered before
		return func() {}, nil
	}
	takeBack, err = tr.sequences.raise(t.signed.plugin, *t.signed, t.anyway())
	var newer *downgradeError
	switch {
	case errors.As(err, &newer): // another process took it after claimed had looked
		return nil, t.downgraded(newer.last)
	case err != nil:
		return nil, sequenceError(err)
	}
	return takeBack, nil
}

// noteSigner says in the status who signed what is live now.
func (t *transaction) noteSigner(g *generation) {
	if t.signed == nil {
		return
	}
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	g.signer = t.signed.Signer
}

func sequenceError(err error) error {
	var se *sequencesError
	if errors.As(err, &se) {
		return &control.Error{
			Code: control.CodeInternal, Message: "this host cannot tell what is older than what it runs", Err: err,
			Limit: "the host's Options.TrustedKeys", Next: "restore " + se.path + ", or remove it to take whatever is signed",
		}
	}
	return diskError(err)
}
