"""What the page and the terminal say, in Brazilian Portuguese, by what they say in English."""

from __future__ import annotations

PORTUGUESE = {
    # The headline and its figures.
    "Nothing unusual in {data} of data.": "Nada incomum em {data} de dados.",
    "Found {n} anomaly in {data} of data.": "{n} anomalia encontrada em {data} de dados.",
    "Found {n} anomalies in {data} of data.": "{n} anomalias encontradas em {data} de dados.",
    "No anomaly in {data} of data.": "Nenhuma anomalia em {data} de dados.",
    "A sensor failed once.": "Um sensor falhou uma vez.",
    "Sensors failed {n} times.": "Sensores falharam {n} vezes.",
    "{n} readings of {k} sensors": "{n} leituras de {k} sensores",
    "{n} readings of one sensor": "{n} leituras de um sensor",
    "one every {step}": "uma a cada {step}",
    "one a second": "uma por segundo",
    "{since} to {until}": "{since} até {until}",
    "Severity": "Severidade",
    "Outside normal": "Fora do normal",
    "{share} of what was judged": "{share} do que foi avaliado",
    "Judged": "Avaliado",
    "Learned from": "Aprendido de",
    "{n} reading": "{n} leitura",
    "{n} readings": "{n} leituras",
    "none": "nenhuma",
    "critical": "crítica",
    "warning": "alerta",
    "Critical": "Crítica",
    "Warning": "Alerta",
    "sensor": "sensor",
    "ready": "pronto",
    "young": "jovem",
    "Skip to the result": "Ir para o resultado",
    "Made by {program}; this page asks no other computer for anything.": (
        "Feito por {program}; esta página não pede nada a nenhum outro computador."
    ),
    # The score.
    "Score over time": "Pontuação ao longo do tempo",
    "Anomaly score over time; the limit is 1. {headline}": (
        "Pontuação de anomalia ao longo do tempo; o limite é 1. {headline}"
    ),
    "Score": "Pontuação",
    "score": "pontuação",
    "limit 1": "limite 1",
    "learned as normal": "aprendido como normal",
    "faulty by “{label}”": "com falha segundo “{label}”",
    "What the file calls faulty": "O que o arquivo chama de falha",
    "not judged: off, starting or silent": "não avaliado: desligada, partindo ou em silêncio",
    "{rows} not judged": "{rows} não avaliadas",
    # What was found.
    "What was found": "O que foi encontrado",
    "All anomalies": "Todas as anomalias",
    "Below are the {n} with the highest score.": "Abaixo estão as {n} de maior pontuação.",
    "Since": "Desde",
    "Lasted": "Duração",
    "Highest score": "Maior pontuação",
    "First sensors": "Primeiros sensores",
    "the end of the data": "o fim dos dados",
    "Later:": "Depois:",
    "Likely cause:": "Causa provável:",
    "Source: {source}": "Fonte: {source}",
    "Told at {at}.": "Avisado às {at}.",
    "Told at {at}, {after} after it began.": "Avisado às {at}, {after} depois do início.",
    "Highest score {score}; the limit is 1.": "Maior pontuação {score}; o limite é 1.",
    "Recovered to a new level – verify.": "Recuperou-se em um novo nível – verifique.",
    "Still outside when the data end.": "Ainda fora do normal quando os dados terminam.",
    "Silent meanwhile: {names}.": "Em silêncio nesse período: {names}.",
    "Time": "Tempo",
    "{name} around the anomaly: {amount}, {against}": "{name} em torno da anomalia: {amount}, {against}",
    "within {low} to {high}": "dentro de {low} a {high}",
    "above {low} to {high}": "acima de {low} a {high}",
    "below {low} to {high}": "abaixo de {low} a {high}",
    "{low} to {high}": "{low} a {high}",
    "Sensor": "Sensor",
    "Seen": "Visto",
    "Expected": "Esperado",
    "Share": "Parte",
    "Each sensor's part, as it stood when it was told": "A parte de cada sensor, como estava no momento do aviso",
    "trembles {times} × as much": "oscila {times} × o usual",
    # The file's own label.
    "Against the data's own label": "Comparado ao rótulo dos próprios dados",
    "{rows} of the rows that were taken for healthy are faulty by this label: what was learned is not healthy "
    "running. Choose a healthy part with --learn.": (
        "{rows} das linhas tomadas como saudáveis têm falha segundo este rótulo: o que foi aprendido não é "
        "funcionamento saudável. Escolha uma parte saudável com --learn."
    ),
    "Labelled from": "Rotulado de",
    "to": "até",
    "Result": "Resultado",
    "found after {delay}": "encontrado após {delay}",
    "found, already open": "encontrado, já estava aberto",
    "missed": "não encontrado",
    "in the part learned from": "na parte aprendida",
    "“{label}” calls no row faulty.": "“{label}” não aponta falha em nenhuma linha.",
    "Of {n} stretches that “{label}” calls faulty, {found} were found.": (
        "Dos trechos em que “{label}” aponta falha ({n}), foram encontrados {found}."
    ),
    "The stretch that “{label}” calls faulty was found.": "O trecho em que “{label}” aponta falha foi encontrado.",
    "The stretch that “{label}” calls faulty was not found.": (
        "O trecho em que “{label}” aponta falha não foi encontrado."
    ),
    "{n} alarm touches none of them.": "{n} alarme não toca nenhum deles.",
    "{n} alarms touch none of them.": "{n} alarmes não tocam nenhum deles.",
    "The label was not used for learning or finding.": "O rótulo não foi usado para aprender nem para encontrar.",
    # What was learned.
    "What was learned": "O que foi aprendido",
    "Taken for healthy": "Tomado como saudável",
    "the first {n} readings, {span}": "as primeiras {n} leituras, {span}",
    "Maturity": "Maturidade",
    "half an hour or more was learned from": "aprendido de meia hora ou mais",
    "less than half an hour was learned from, or its last third was unlike the rest": (
        "aprendido de menos de meia hora, ou o último terço foi diferente do resto"
    ),
    "Exceedance": "Excedência",
    "unknown: too few rows to learn from two thirds and try the last": (
        "desconhecida: poucas linhas para aprender de dois terços e experimentar o último"
    ),
    "{share} of the last third of them is beyond limits learned from the first two": (
        "{share} do último terço delas está além dos limites aprendidos dos dois primeiros"
    ),
    "Sensitivity": "Sensibilidade",
    "the limit is {factor} times the largest healthy score": "o limite é {factor} vezes a maior pontuação saudável",
    "Rate": "Ritmo",
    "Operating points": "Pontos de operação",
    "Checksum": "Soma de verificação",
    "Usual": "Usual",
    "Deviation": "Desvio",
    "drifts": "deriva",
    "Left out": "Deixado de fora",
    "holds text": "contém texto",
    "is a label, so it is kept out of sight": "é um rótulo, por isso não é usado",
    "is beyond the {most} sensors of one machine": "passa dos {most} sensores de uma máquina",
    "is mostly no numbers, such as “{example}”": "quase não tem números, por exemplo “{example}”",
    "is empty": "está vazio",
    "never changes, it is always {value}": "nunca muda, é sempre {value}",
    "only counts the rows": "apenas conta as linhas",
    "was silent": "esteve em silêncio na parte aprendida",
    "was silent most of the time": "esteve em silêncio na maior parte do que foi aprendido",
    "never changed": "não mudou na parte aprendida",
    # What was done to the file.
    "The file goes on; only its first {rows} rows were read.": (
        "O arquivo continua; só as primeiras {rows} linhas foram lidas."
    ),
    "Rows with too few or too many cells, left out: {rows}.": (
        "Linhas com células a menos ou a mais, deixadas de fora: {rows}."
    ),
    "Cells of “{name}” that are no numbers and count as missing: {count}, such as “{example}”.": (
        "Células de “{name}” que não são números e contam como ausentes: {count}, por exemplo “{example}”."
    ),
    "There is no column with times, so each row counts as one second.": (
        "Não há coluna de tempo, então cada linha conta como um segundo."
    ),
    "“{name}” counts from the beginning of the recording; it was taken for the time.": (
        "“{name}” conta desde o início da gravação; foi tomada como o tempo."
    ),
    "It is not certain which is day and which is month in these dates; day first unless AM or PM follows.": (
        "Não é certo qual é o dia e qual é o mês nestas datas; dia primeiro, a menos que haja AM ou PM."
    ),
    "Rows that stood before an earlier one: {rows}. They were sorted by time.": (
        "Linhas que estavam antes de uma anterior: {rows}. Foram ordenadas pelo tempo."
    ),
    "The last times lie in the future: was the logger's clock set?": (
        "Os últimos tempos estão no futuro: o relógio do registrador estava certo?"
    ),
    "Rows without a time that can be read, left out: {rows}.": (
        "Linhas sem um tempo que se possa ler, deixadas de fora: {rows}."
    ),
    "The times lie before 2000 or after 2100, so they only count from the beginning.": (
        "Os tempos estão antes de 2000 ou depois de 2100, então contam apenas desde o início."
    ),
    "Rows with a time before 2000 or after 2100 (a clock not set), left out: {rows}.": (
        "Linhas com um tempo antes de 2000 ou depois de 2100 (relógio não acertado), deixadas de fora: {rows}."
    ),
    "Most rows share their time with others; they were spread evenly over each tick of the clock.": (
        "A maioria das linhas divide seu tempo com outras; foram distribuídas por igual em cada batida do relógio."
    ),
    # What this cannot say.
    "What this cannot say": "O que isto não pode dizer",
    "Learned from little: false alarms are likelier than after half an hour of healthy running.": (
        "Aprendido de pouco: alarmes falsos são mais prováveis do que depois de meia hora de funcionamento saudável."
    ),
    "What was wrong from the beginning was learned as normal: this page compares the machine with itself.": (
        "O que estava errado desde o início foi aprendido como normal: esta página compara a máquina consigo mesma."
    ),
    "It says where and how a machine left its normal running. What to repair, a person who knows it decides.": (
        "Diz onde e como a máquina saiu do funcionamento normal. O que consertar, decide quem a conhece."
    ),
    "A new load, speed or product looks like an anomaly if it was not in the part learned from.": (
        "Uma nova carga, velocidade ou produto parece anomalia se não estava na parte aprendida."
    ),
    "A wear so slow that the normal level follows it within hours is not seen here; trends need weeks of data.": (
        "Um desgaste tão lento que o nível normal o acompanha em horas não é visto aqui; tendências pedem semanas."
    ),
    "What lasts less than {patience} is not told; one wild reading alone never is.": (
        "O que dura menos de {patience} não é avisado; uma única leitura absurda, nunca."
    ),
    # The terminal.
    "Learned from the first {n} readings ({span}): {maturity}; {exceedance}.": (
        "Aprendido das primeiras {n} leituras ({span}): {maturity}; {exceedance}."
    ),
    "{share} of their last third is beyond the limit": "{share} do último terço está além do limite",
    "exceedance unknown": "excedência desconhecida",
    "Page: {path} ({seconds} s)": "Página: {path} ({seconds} s)",
    "Left out: {names}.": "Deixado de fora: {names}.",
    "An emulated pump, 90 minutes at one reading a second; its drive-end bearing wears from minute 75 on.": (
        "Uma bomba emulada, 90 minutos a uma leitura por segundo; o rolamento do lado acoplado se desgasta a partir do "
        "minuto 75."
    ),
}
