package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// HTTP gives a probe that gets a URL. The service works where the answer, after
// redirects, has a status from 200 to 399, as for the probes of Kubernetes. Every
// question takes a connection of its own, so that one that hangs is not asked again.
//
// Errors: what is no URL of http or https with a host.
func HTTP(text string) (Probe, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Probe{}, fmt.Errorf("%q is no URL: %w", text, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return Probe{}, fmt.Errorf("%q is no URL such as http://localhost:8080/healthz", text)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	return Probe{Name: "GET " + u.Redacted(), Ask: func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "hotgo-probe")
		resp, err := client.Do(req)
		if err != nil {
			var ue *url.Error
			if errors.As(err, &ue) {
				err = ue.Err // the name says the rest
			}
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 200 && resp.StatusCode < 400 {
			return nil
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return errors.New(withDetail(resp.Status, string(body)))
	}}, nil
}

// withDetail adds the last line of what was said that is not empty.
func withDetail(what, said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return what + ": " + last
	}
	return what
}
