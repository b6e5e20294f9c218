package reloader

import (
	"io"
	"strconv"
	"strings"
)

// writeFamilies writes the Prometheus text format, version 0.0.4.
func writeFamilies(w io.Writer, families []family) error {
	var b strings.Builder
	for _, f := range families {
		b.WriteString("# HELP " + f.name + " " + helpText.Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
		for _, s := range f.samples {
			b.WriteString(f.name + s.suffix + labelled(s.labels) + " " + strconv.FormatFloat(s.value, 'f', -1, 64) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// In help texts two characters are escaped, in values of labels three; nothing
// else is, so strconv.Quote would be wrong.
var (
	helpText  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
)

// labelled gives {name="value",…}, "" without labels.
func labelled(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelText.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD"))+`"`)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// variables gives the same numbers by name and labels, as expvar shows them.
func variables(families []family) map[string]float64 {
	vars := map[string]float64{}
	for _, f := range families {
		for _, s := range f.samples {
			vars[f.name+s.suffix+labelled(s.labels)] = s.value
		}
	}
	return vars
}
