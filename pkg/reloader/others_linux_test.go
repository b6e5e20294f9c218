package reloader

import (
	"slices"
	"strings"
	"testing"
)

func TestMappedCodeIsListedOnceAndOnlyWhereItStillLies(t *testing.T) {
	const maps = `00400000-00600000 r-xp 00000000 08:01 11                                 /srv/shop
00600000-00700000 r--p 00200000 08:01 11                                 /srv/shop
7f0000000000-7f0000001000 r-xp 00000000 08:01 12                         /srv/my plugins/pricing.so
7f0000001000-7f0000002000 r-xp 00001000 08:01 12                         /srv/my plugins/pricing.so
7f0000002000-7f0000003000 r-xp 00000000 08:01 13                         /tmp/gone.so (deleted)
7f0000003000-7f0000004000 rw-p 00000000 08:01 14                         /srv/data
7f0000004000-7f0000005000 r-xp 00000000 00:00 0                          [vdso]
7f0000005000-7f0000006000 rwxp 00000000 00:00 0
bad /line
`
	want := []mappedFile{{"/srv/shop", 11}, {"/srv/my plugins/pricing.so", 12}}
	if got := parseMaps(strings.NewReader(maps)); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, m := range mappedCode() {
		if !m.unchanged() {
			t.Errorf("%s is taken for another file", m.path)
		}
	}
	if len(mappedCode()) == 0 {
		t.Error("this process has no code")
	}
}
