// A DoH/3 client that is not ours: libcurl with HTTP/3 only, loaded at run time because the curl program of Debian 12
// has no HTTP/3 but its library has. Posts a DNS query from a file and writes the answer to standard output.
// Usage: h3_client URL CA_FILE HOST:PORT:ADDRESS QUERY_FILE [get]   (get: URL already has ?dns=)
// Exit codes: 0 HTTP 200; 1 failed or another status; 77 no libcurl with HTTP/3 here.

#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace {

// The few numbers of curl's stable interface that are used (curl/curl.h).
constexpr int kUrl = 10002, kCaInfo = 10065, kResolve = 10203, kPostFields = 10015, kPostFieldSize = 60,
              kHttpHeader = 10023, kWriteFunction = 20011, kHttpVersion = 84, kTimeout = 13;
constexpr long kHttp3Only = 31;
constexpr int kResponseCode = 0x200002, kUsedHttpVersion = 0x20002E;

struct Curl {
    void* library = nullptr;
    template <class F>
    F* function(const char* name) const
    {
        return reinterpret_cast<F*>(::dlsym(library, name));
    }
};

std::size_t print(const char* data, std::size_t one, std::size_t count, void*)
{
    return std::fwrite(data, one, count, stdout);
}

Curl load()
{
    for (const char* name : {"libcurl-gnutls.so.4", "libcurl.so.4"}) {
        if (void* library = ::dlopen(name, RTLD_NOW)) {
            struct Version {
                int age;
                const char* version;
                unsigned number;
                const char* host;
                int features;
            };
            const Curl curl{library};
            auto* const info = curl.function<Version*(int)>("curl_version_info");
            if (info != nullptr && (info(0)->features & (1 << 25)) != 0) return curl; // CURL_VERSION_HTTP3
        }
    }
    return {};
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 5) return 2;
    const Curl curl = load();
    if (curl.library == nullptr) {
        std::fprintf(stderr, "no libcurl with HTTP/3\n");
        return 77;
    }
    std::ifstream file{argv[4], std::ios::binary};
    const std::string query{std::istreambuf_iterator<char>{file}, {}};
    void* const easy = curl.function<void*()>("curl_easy_init")();
    auto* const set = curl.function<int(void*, int, ...)>("curl_easy_setopt");
    auto* const append = curl.function<void*(void*, const char*)>("curl_slist_append");
    void* const hosts = append(nullptr, argv[3]);
    void* headers = append(nullptr, "accept: application/dns-message");
    headers = append(headers, "content-type: application/dns-message");
    set(easy, kUrl, argv[1]);
    set(easy, kCaInfo, argv[2]);
    set(easy, kResolve, hosts);
    set(easy, kHttpHeader, headers);
    set(easy, kHttpVersion, kHttp3Only);
    set(easy, kTimeout, 20L);
    set(easy, kWriteFunction, print);
    if (argc < 6) {
        set(easy, kPostFieldSize, static_cast<long>(query.size()));
        set(easy, kPostFields, query.data());
    }
    const int result = curl.function<int(void*)>("curl_easy_perform")(easy);
    long status = 0;
    long version = 0;
    auto* const get = curl.function<int(void*, int, long*)>("curl_easy_getinfo");
    get(easy, kResponseCode, &status);
    get(easy, kUsedHttpVersion, &version);
    std::fprintf(stderr, "result %d, status %ld, HTTP version %ld\n", result, status, version);
    return result == 0 && status == 200 ? 0 : 1;
}
