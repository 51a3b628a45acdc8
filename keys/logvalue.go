//go:build !js

package keys

import "log/slog"

// LogValue is what String returns. Not in browsers, whose build carries no logger.
func (p *PublicIdentity) LogValue() slog.Value { return slog.StringValue(p.String()) }
