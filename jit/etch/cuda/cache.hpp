// SPDX-License-Identifier: MIT
// Compiled kernels are kept on disk, one file for each text, set of options, architecture and version of NVRTC. A file is
// written beside its place and renamed, so that it is there whole or not at all, and is checked when it is read: processes
// may come, go and die as they like. What the folder cannot do costs time and one sentence, never a failure.
//
//   ETCH_CACHE_DIR    the folder; else $XDG_CACHE_HOME/etch, else ~/.cache/etch. Who may write there is trusted.
//   ETCH_CACHE_BYTES  how large its entries may grow together, 268435456 unless told; the oldest are removed
//   ETCH_CACHE=0      no cache
#pragma once
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <system_error>

#include <etch/cuda/nvrtc.hpp>

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace etch::cuda {
namespace detail {

struct digest {
    std::uint64_t high = 0, low = 0;
    bool operator==(const digest&) const = default;
};

/// FNV-1a with 128 bits: offset basis and prime of draft-eastlake-fnv (Fowler, Noll, Vo). It finds damage and tells keys
/// apart; it is no protection against somebody who wants a collision, and keys are compared in full.
inline digest digest_of(std::string_view bytes) {
    __extension__ using wide = unsigned __int128;
    constexpr wide prime = (wide{1} << 88) + 0x13b;
    wide h = (wide{0x6c62272e07bb0142u} << 64) + 0x62b821756295c58du;
    for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * prime;
    return {static_cast<std::uint64_t>(h >> 64), static_cast<std::uint64_t>(h)};
}

/// The text without what // starts and without lines that hold nothing else: there stand names and lines of the user's
/// files, on which the code does not depend. Texts that differ otherwise stay different: what this does not understand
/// (a raw string, a separator in a number, a line that goes on after a comment) is kept to the end.
inline std::string without_comments(std::string_view text) {
    std::string all;
    all.reserve(text.size());
    std::size_t line = 0;  // where the line begins in `all`
    for (std::size_t i = 0; i < text.size();) {
        char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
        char before = i > 0 ? text[i - 1] : ' ';
        bool quoted = c == '"' || c == '\'';
        bool word = before == '_' || (before >= '0' && before <= '9') ||
                    (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z');
        if ((quoted && word) || (c == '/' && next == '\\')) return all.append(text.substr(i));
        if (c == '/' && next == '/') {
            std::size_t end = std::min(text.find('\n', i), text.size());
            std::string_view comment = text.substr(i, end - i);
            if (comment[comment.find_last_not_of(" \t\r")] == '\\')
                return all.append(text.substr(i));
            while (all.size() > line && (all.back() == ' ' || all.back() == '\t')) all.pop_back();
            bool alone = all.size() == line && !(line > 1 && all[line - 2] == '\\');
            i = alone ? std::min(end + 1, text.size()) : end;
            continue;
        }
        std::size_t end = i + 1;
        if (c == '/' && next == '*') {
            end = text.find("*/", i + 2);
            end = end == text.npos ? text.size() : end + 2;
        } else if (quoted) {
            while (end < text.size() && text[end] != c && text[end] != '\n')
                end += text[end] == '\\' ? 2 : 1;
            end = std::min(end + 1, text.size());
        }
        std::string_view piece = text.substr(i, end - i);
        all.append(piece);
        if (std::size_t newline = piece.rfind('\n'); newline != piece.npos)
            line = all.size() - (piece.size() - newline - 1);
        i = end;
    }
    return all;
}

/// All on which the code depends.
inline std::string cache_key(std::string_view text, int architecture, const emit_options& options) {
    int version = 0;
    nvrtc().version(version);
    std::string key = "NVRTC " + version_text(version);
    for (const std::string& option : options_of(architecture, options)) key += '\n' + option;
    return key + "\n\n" + without_comments(text);
}

inline std::string cache_folder() {
    auto value = [](const char* variable) {
        const char* text = std::getenv(variable);
        return std::string(text ? text : "");
    };
    if (std::string folder = value("ETCH_CACHE_DIR"); !folder.empty()) return folder;
    // What is not a whole path shall be ignored, says XDG's specification.
    if (std::string base = value("XDG_CACHE_HOME"); base.starts_with('/')) return base + "/etch";
    if (std::string home = value("HOME"); !home.empty()) return home + "/.cache/etch";
    return "";
}

/// Tells stderr why the cache does not work, the first time in a process.
inline void report_cache(const std::string& reason) {
    static std::atomic<bool> said{false};
    if (said.exchange(true)) return;
    std::string all = "etch: compiled kernels are not kept on disk: " + reason +
                      " (ETCH_CACHE_DIR names another folder, ETCH_CACHE=0 switches this off)\n";
    std::fwrite(all.data(), 1, all.size(), stderr);
}
inline std::string error_text(int error) { return std::generic_category().message(error); }

/// Bytes; negative where ETCH_CACHE_BYTES is no number, and then there is no cache.
inline std::int64_t cache_limit() {
    constexpr std::int64_t usual = std::int64_t{256} << 20;
    const char* wanted = std::getenv("ETCH_CACHE_BYTES");
    if (!wanted || !*wanted) return usual;
    std::int64_t bytes = 0;
    const char* end = wanted + std::strlen(wanted);
    auto [stop, error] = std::from_chars(wanted, end, bytes);
    if (error == std::errc() && stop == end && bytes >= 0) return bytes;
    report_cache("ETCH_CACHE_BYTES is \"" + std::string(wanted) + "\" and not a number of bytes");
    return -1;
}

/// What an entry begins with; the key and the content follow.
struct entry_header {
    char magic[8]{'e', 't', 'c', 'h', 'k', 'e', 'r', 'n'};
    std::uint64_t format = 1;  // in the byte order of the machine, which is so checked too
    std::uint64_t key_bytes = 0, content_bytes = 0;
    digest of_content{};
};
static_assert(sizeof(entry_header) == 48);

inline std::int64_t entry_bytes(std::string_view key, std::string_view content) {
    return static_cast<std::int64_t>(sizeof(entry_header) + key.size() + content.size());
}

/// "0123...cdef", 32 digits, of the key.
inline std::string entry_name(std::string_view key) {
    digest d = digest_of(key);
    char name[33];
    std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(d.high),
                  static_cast<unsigned long long>(d.low));
    return name;
}

struct file_closed {
    int file;
    explicit file_closed(int f) : file(f) {}
    file_closed(const file_closed&) = delete;
    ~file_closed() {
        if (file >= 0) close(file);
    }
};

inline bool read_all(int file, char* to, std::size_t bytes) {
    while (bytes > 0) {
        ssize_t n = read(file, to, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        to += n;
        bytes -= static_cast<std::size_t>(n);
    }
    return true;
}
inline bool write_all(int file, std::string_view from) {
    while (!from.empty()) {
        ssize_t n = write(file, from.data(), from.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        from.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// The content of an entry that is whole and has this key; then it counts as just used.
inline bool read_entry(const std::string& path, std::string_view key, std::int64_t limit,
                       std::string& content) {
    // Not blocking: whatever lies there may be a pipe.
    file_closed f(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat about {};
    if (f.file < 0 || fstat(f.file, &about) != 0 || !S_ISREG(about.st_mode)) return false;
    entry_header h, expected;
    std::int64_t fixed = entry_bytes(key, "");
    if (about.st_size < fixed || about.st_size > limit) return false;
    if (!read_all(f.file, reinterpret_cast<char*>(&h), sizeof h)) return false;
    if (std::memcmp(h.magic, expected.magic, sizeof h.magic) != 0 || h.format != expected.format ||
        h.key_bytes != key.size() ||
        h.content_bytes != static_cast<std::uint64_t>(about.st_size - fixed))
        return false;
    std::string key_there(key.size(), '\0');
    content.assign(h.content_bytes, '\0');
    if (!read_all(f.file, key_there.data(), key_there.size()) || key_there != key) return false;
    if (!read_all(f.file, content.data(), content.size())) return false;
    if (digest_of(content) != h.of_content) return false;
    // Fails where one may only read, and then entries age from their writing.
    futimens(f.file, nullptr);
    return true;
}

/// Makes a folder and those above it, for this user alone. Failures show when a file is made there.
inline void make_folders(const std::string& folder) {
    for (std::size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
        mkdir(folder.substr(0, end).c_str(), 0700);
        if (end == folder.npos) return;
    }
}

inline constexpr std::string_view entry_ending = ".cubin", temporary_ending = ".tmp";

/// Removes entries, the least recently used first, until all are at most `limit` bytes, and what writers that died more
/// than an hour ago have left. Files with other names are not touched.
inline void trim_cache(const std::string& folder, std::int64_t limit) {
    struct entry {
        std::int64_t seconds, nanoseconds, bytes;
        std::string name;
        auto operator<=>(const entry&) const = default;
    };
    DIR* listing = opendir(folder.c_str());
    if (!listing) return;
    int at = dirfd(listing);
    std::vector<entry> entries;
    std::int64_t bytes = 0, now = std::time(nullptr);
    while (const dirent* found = readdir(listing)) {
        std::string_view name = found->d_name;
        struct stat about {};
        if (std::min(name.find_first_not_of("0123456789abcdef"), name.size()) != 32 ||
            fstatat(at, found->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode))
            continue;
        name.remove_prefix(32);
        if (name == entry_ending) {
            entries.push_back(
                {about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size, found->d_name});
            bytes += about.st_size;
        } else if (name.size() == 7 + temporary_ending.size() && name[0] == '.' &&
                   name.ends_with(temporary_ending) && now - about.st_mtim.tv_sec > 3600) {
            unlinkat(at, found->d_name, 0);
        }
    }
    std::sort(entries.begin(), entries.end());
    for (const entry& e : entries) {
        if (bytes <= limit) break;
        unlinkat(at, e.name.c_str(), 0);  // or another process has done it
        bytes -= e.bytes;
    }
    closedir(listing);
}

/// Puts an entry in its place. Returns what failed, or nothing.
inline std::string write_entry(const std::string& folder, std::string_view key,
                               std::string_view content) {
    make_folders(folder);
    std::string path = folder + '/' + entry_name(key);
    std::string temporary = path + ".XXXXXX" + std::string(temporary_ending);
    path += entry_ending;
    auto failure = [&](int error) { return "cannot write " + path + ": " + error_text(error); };
    int file = mkostemps(temporary.data(), static_cast<int>(temporary_ending.size()), O_CLOEXEC);
    if (file < 0) return failure(errno);
    entry_header h;
    h.key_bytes = key.size();
    h.content_bytes = content.size();
    h.of_content = digest_of(content);
    bool done = write_all(file, {reinterpret_cast<const char*>(&h), sizeof h}) &&
                write_all(file, key) && write_all(file, content);
    int error = done ? 0 : errno;
    // Some file systems say only now that they are full.
    if (close(file) != 0 && error == 0) error = errno;
    if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0) return "";
    unlink(temporary.c_str());
    return failure(error);
}

}  // namespace detail

/// What `compile` gives for these arguments, from the disk where it was compiled before. Any number of threads and processes
/// may call it at once. Throws what `compile` throws; where the folder fails, it compiles, and stderr says so once.
inline std::string cached(std::string_view text, int architecture, const emit_options& options,
                          std::string_view program_name) {
    auto made = [&] { return compile(text, architecture, options, program_name).cubin; };
    const char* wanted = std::getenv("ETCH_CACHE");
    if (wanted && std::string_view(wanted) == "0") return made();
    std::string folder = detail::cache_folder(), content;
    if (folder.empty())
        detail::report_cache("neither ETCH_CACHE_DIR nor XDG_CACHE_HOME nor HOME names a folder");
    std::int64_t limit = detail::cache_limit();
    if (folder.empty() || limit < 0) return made();
    std::string key = detail::cache_key(text, architecture, options);
    std::string path = folder + '/' + detail::entry_name(key);
    if (detail::read_entry(path.append(detail::entry_ending), key, limit, content)) {
        detail::print_kernels(text, program_name, architecture, "loaded");
        return content;
    }
    content = made();
    // An entry that is larger than all may be together would drive the others out and then go itself.
    if (detail::entry_bytes(key, content) <= limit)
        if (std::string failure = detail::write_entry(folder, key, content); !failure.empty())
            detail::report_cache(failure);
    detail::trim_cache(folder, limit);
    return content;
}

}  // namespace etch::cuda

#endif
