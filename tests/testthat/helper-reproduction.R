# Rows of a result as python/sense/reproduce/table.py writes them, with made-up counts: a network for each
# row of `networks` under each attack.
made_up_rows <- function(networks, attacks = c(natural = "natural", pgd = "PGD-100 x 5"), n = 100) {
  defaults <- list(
    c = NA, boundary = NA, start = NA, stage_test = NA, model = "cifar-cnn-2", lr = 0.01, epochs = 10, batch_size = 128,
    train_size = 50000, seed = 1, source = NA, collapsed = FALSE, stage_c = NA, seconds_training = 60
  )
  for (name in setdiff(names(defaults), names(networks))) networks[[name]] <- defaults[[name]]
  sense <- networks$method == "sense"
  networks$boundary[sense & is.na(networks$boundary)] <- "revert"
  networks$start[sense & is.na(networks$start)] <- "natural"
  networks$stage_test[sense & is.na(networks$stage_test)] <- "natural"
  networks$cell <- paste0("cell-", seq_len(nrow(networks)))
  rows <- do.call(rbind, lapply(seq_along(attacks), function(i) {
    cbind(networks, attack = names(attacks)[i], attack_label = attacks[[i]])
  }))
  if (is.null(rows$k)) rows$k <- round(n * ifelse(rows$attack == "natural", 0.8, 0.4)) + rows$seed
  rows$n <- n
  rows
}

made_up_claims <- function() {
  list(
    list(id = "a", text = "R-AT collapses", place = "section 5.3.4", verdict = "does not hold", evidence = "0 of 3"),
    list(id = "b", text = "accuracy increases", place = "Table 7", verdict = "open", evidence = "one seed")
  )
}

# A folder with the files of a result.
reproduction_folder <- function(rows, name = "table7", scale = "cpu", ..., claims = made_up_claims(), zipped = FALSE) {
  folder <- tempfile("reproduce-")
  dir.create(folder)
  path <- file.path(folder, sprintf("%s-%s.csv%s", name, scale, if (zipped) ".gz" else ""))
  connection <- if (zipped) gzfile(path) else file(path)
  utils::write.csv(rows, connection, row.names = FALSE, na = "", quote = FALSE)
  write_json_file(
    utils::modifyList(
      list(
        experiment = name, title = "accuracy and collapse of small CNNs", place = "Table 7", scale = scale,
        command = sprintf("python -m sense.reproduce %s --scale %s", name, scale),
        provenance = list(commit = "abc", time = "2026-11-28"), data = list(cifar10 = "def"), networks = 1L,
        missing = list(), seconds = list(training = 7200, attacks = 3600),
        shortened = list(
          list(option = "epochs", paper = list("150"), here = list("10")),
          list(option = "other", paper = list(), here = list("every method with each learning rate"))
        ),
        claims = claims
      ),
      list(...)
    ),
    file.path(folder, sprintf("%s-%s.json", name, scale))
  )
  folder
}
