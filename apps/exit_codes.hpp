#pragma once

namespace sallyport::apps {

/// What the program ends with; documented in `sallyport --help` and the man page.
enum ExitCode : int {
    exit_ok = 0,
    exit_bad_input = 1,   ///< the configuration, a zone, a certificate: the errors were printed
    exit_usage = 2,       ///< the command line
    exit_cannot_bind = 3, ///< an address in use, not ours, or privileged
    exit_failed = 4,      ///< the system refused something else, or a worker hung at the end
};

} // namespace sallyport::apps
