# R's part of the site, in .site: reference and vignettes by pkgdown, and a report.
options(pkgdown.internet = FALSE)
package <- pkgdown::as_pkgdown(".")
# For packages that are not installed, links would be looked up on CRAN: there are none instead.
utils::assignInNamespace(
  "CRAN_urls", function() data.frame(Package = character(), URL = character()), "downlit"
)
pkgdown::init_site(package)
pkgdown::build_reference(package, lazy = FALSE, preview = FALSE)
pkgdown::build_articles(package, lazy = FALSE, preview = FALSE)

# Bootstrap is part of the site; pkgdown loads its other scripts and icons from the network. The
# pages are readable without them. What needs them goes: the contents list, which would be empty, and
# the search, which the start page has for all pages.
for (file in list.files(".site/r", "[.]html$", recursive = TRUE, full.names = TRUE)) {
  page <- xml2::read_html(file)
  absent <- c(
    "//link[contains(@href, '://') and @rel = 'stylesheet']", "//script[contains(@src, '://')]",
    "//script[contains(@src, 'pkgdown.js')]", "//form[@role = 'search']", "//img[@src = '']",
    "//*[@id = 'toc']/ancestor-or-self::*[contains(@class, 'col-md-3')]"
  )
  xml2::xml_remove(xml2::xml_find_all(page, paste(absent, collapse = " | ")))
  brand <- xml2::xml_find_first(page, "//a[contains(@class, 'navbar-brand')]")
  xml2::xml_set_attr(brand, "href", paste0("../", xml2::xml_attr(brand, "href")))
  xml2::write_html(page, file)
}

dir.create(".site/reports")
runs <- list.dirs("inst/extdata/mnist-demo", recursive = FALSE)
names(runs) <- basename(runs)
sense::sense_report(runs, ".site/reports/mnist-demo.html")
sense::sense_report(runs["sense"], ".site/reports/one-run.html")
