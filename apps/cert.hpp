#pragma once

#include <string>
#include <vector>

namespace sallyport::apps {

struct CertDevOptions {
    std::string directory = "certs/dev";
    std::vector<std::string> names;
    unsigned days = 90;
    bool replace = false;
    bool quiet = false;
};

/// `sallyport cert dev`: a development CA and a certificate. Returns an exit code.
[[nodiscard]] int cert_dev(const CertDevOptions& options);

} // namespace sallyport::apps
