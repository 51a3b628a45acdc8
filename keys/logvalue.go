//go:build !js

package keys

import "log/slog"

// LogValue returns what String returns. The build for browsers has no logger, and so no LogValue.
func (p *PublicIdentity) LogValue() slog.Value { return slog.StringValue(p.String()) }
