#include "certs/certificate_files.hpp"
#include "certs/certs.hpp"
#include "certs/files.hpp"

#include <optional>
#include <utility>

namespace sallyport::certs {

struct Watch::Files {
    using State = std::vector<std::pair<std::string, FileState>>;

    std::vector<std::string> fixed; // the explicit files
    std::string directory;
    State known;                  // what was reported, or there at the start
    std::optional<State> pending; // seen once, different from `known`

    State look() const
    {
        State state;
        for (const std::string& file : fixed) state.emplace_back(file, file_state(file));
        if (directory.empty()) return state;
        // A directory that cannot be read is a state too: reading it again tells why.
        if (const auto files = list_certificate_files(directory)) {
            for (const std::string& file : *files) state.emplace_back(file, file_state(file));
        } else {
            state.emplace_back(files.error().message, FileState{});
        }
        return state;
    }
};

Watch::Watch(const Options& options) : files_{std::make_unique<Files>()}
{
    for (const CertificateOptions& pair : options.certificates) {
        files_->fixed.push_back(pair.chain_file);
        if (!pair.key_file.empty()) files_->fixed.push_back(pair.key_file);
    }
    files_->directory = options.directory;
    files_->known = files_->look();
}

Watch::~Watch() = default;

bool Watch::changed()
{
    Files::State now = files_->look();
    if (now == files_->known) {
        files_->pending.reset();
        return false;
    }
    if (now != files_->pending) {
        files_->pending = std::move(now);
        return false;
    }
    files_->known = std::move(now);
    files_->pending.reset();
    return true;
}

} // namespace sallyport::certs
