#pragma once

#include "certs/options.hpp"

#include <string>
#include <vector>

namespace sallyport::certs {

/// The explicit pairs of the options, then those found in its directory, in name order: NAME.crt, or NAME.pem where
/// there is none, with NAME.key beside it. In a directory, a CA's certificate without a server's name is passed over
/// (the development CA lies beside what it signed), and so is a certificate without a key.
[[nodiscard]] std::vector<CertificateOptions> find_certificate_files(const Options& options, base::Problems& problems);

/// Names of the files in `directory` that can be a certificate or key, sorted; nothing where it cannot be read.
[[nodiscard]] base::Result<std::vector<std::string>> list_certificate_files(const std::string& directory);

} // namespace sallyport::certs
