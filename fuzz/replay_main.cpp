// Runs a fuzz harness without libFuzzer: over the files of the folders named on the command line, and over a fixed
// number of small changes of each, which are the same in every run. Where a file is found wanting the process ends
// by a signal, and the name written last says which file it was.

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kChangesPerFile = 64;
constexpr std::size_t kChangesInAll = 4096;
constexpr std::size_t kLargestChanged = 64 * 1024; // changing a big file costs more than it finds

std::string g_running; // what the signal handler names
std::size_t g_change = 0;

void name_culprit(int number)
{
    char line[512];
    const int size =
        std::snprintf(line, sizeof line, "\nfailed with signal %d on %s, change %zu (0: the file as it is)\n", number,
                      g_running.c_str(), g_change);
    if (size > 0) {
        const auto written = std::min(static_cast<std::size_t>(size), sizeof line - 1);
        if (write(STDERR_FILENO, line, written) < 0) std::_Exit(2);
    }
    std::signal(number, SIG_DFL);
    std::raise(number);
}

/// SplitMix64: the same sequence on every machine.
class Sequence {
public:
    std::size_t below(std::size_t bound)
    {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
        return static_cast<std::size_t>((mixed ^ (mixed >> 31)) % bound);
    }

private:
    std::uint64_t state_ = 0;
};

Bytes read_file(const std::filesystem::path& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::vector<std::filesystem::path> list_files(const std::filesystem::path& place)
{
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    if (fs::is_regular_file(place)) files.push_back(place);
    if (fs::is_directory(place)) {
        for (const auto& entry : fs::recursive_directory_iterator{place}) {
            if (entry.is_regular_file()) files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// One small change: cut, flip a bit, write an extreme, repeat a piece.
Bytes change(Bytes bytes, Sequence& sequence)
{
    if (bytes.empty()) return bytes;
    const std::size_t at = sequence.below(bytes.size());
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (sequence.below(5)) {
    case 0: bytes.resize(at); break;
    case 1: *place = static_cast<std::uint8_t>(*place ^ (1U << sequence.below(8))); break;
    case 2: *place = 0xFF; break;
    case 3: *place = 0x00; break;
    default: {
        const Bytes piece(place, bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), at + 16)));
        bytes.insert(place, piece.begin(), piece.end());
        break;
    }
    }
    return bytes;
}

/// The harness gets a heap copy of the exact size, so that AddressSanitizer sees a read past its end.
void run_one(const Bytes& bytes)
{
    const Bytes exact(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::size_t run_file(const std::filesystem::path& path, std::size_t changes)
{
    g_running = path.string();
    g_change = 0;
    const Bytes bytes = read_file(path);
    run_one(bytes);
    if (bytes.size() > kLargestChanged) return 0;
    Sequence sequence;
    for (g_change = 1; g_change <= changes; ++g_change) run_one(change(bytes, sequence));
    return changes;
}

} // namespace

int main(int argc, char** argv)
{
    if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < argc; ++i) {
        const auto found = list_files(argv[i]);
        files.insert(files.end(), found.begin(), found.end());
    }
    if (files.empty()) {
        std::fprintf(stderr, "no seed to replay: a harness needs at least one file in its seeds folder\n");
        return 1;
    }

#ifndef SALLYPORT_SANITIZED // a sanitizer tells more by itself
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, name_culprit);
#else
    std::signal(SIGABRT, name_culprit);
#endif

    g_running = "the empty input";
    LLVMFuzzerTestOneInput(nullptr, 0);
    std::size_t changed = 0;
    for (const auto& path : files) {
        changed += run_file(path, std::min(kChangesPerFile, kChangesInAll - std::min(kChangesInAll, changed)));
    }
    std::printf("%zu files and %zu changes of them replayed\n", files.size(), changed);
    return 0;
}
